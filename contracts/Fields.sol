// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MAX_ID_BYTES} from "./Ticket.sol";

/// @title What the texts of a ticket may be
/// @notice The rules of steelyard/ticket.py. Of a vehicle's text only what bytes can tell is checked:
/// well-formed UTF-8, no control characters, no blanks at the ends.
library Fields {
    // A set of characters is a word with the bit of each code set.
    uint256 private constant DIGITS = ((1 << 10) - 1) << 48;
    uint256 private constant LOWER = ((1 << 26) - 1) << 97;
    uint256 private constant UPPER = ((1 << 26) - 1) << 65;
    uint256 private constant ALPHANUMERIC = DIGITS | LOWER | UPPER;
    uint256 private constant ID = ALPHANUMERIC | (1 << 45) | (1 << 46) | (1 << 95) | (1 << 126); // - . _ ~
    uint256 private constant STATUS = DIGITS | LOWER | (1 << 45);
    uint256 private constant PRINTABLE = ((1 << 95) - 1) << 32; // blank to tilde
    uint256 private constant BLANK = 32;

    /// @notice 1 to 96 characters A-Z a-z 0-9 . _ ~ -, the first one a letter or a digit.
    function isId(bytes calldata id) internal pure returns (bool) {
        unchecked {
            if (id.length == 0 || id.length > MAX_ID_BYTES || !_in(ALPHANUMERIC, uint8(id[0]))) return false;
            for (uint256 i = 1; i < id.length; ++i) {
                if (!_in(ID, uint8(id[i]))) return false;
            }
            return true;
        }
    }

    /// @notice 1 to 32 printable ASCII characters without blanks at the ends.
    function isSerial(bytes32 text) internal pure returns (bool) {
        uint256 length = _length(text);
        return length != 0 && _trimmed(text, length) && _all(PRINTABLE, text, length);
    }

    /// @notice 1 to 12 characters a-z 0-9 -, the first one a letter.
    function isStatus(bytes32 text) internal pure returns (bool) {
        uint256 length = _length(text);
        return length != 0 && length <= 12 && _in(LOWER, uint8(text[0])) && _all(STATUS, text, length);
    }

    /// @notice 1 to 32 bytes of well-formed UTF-8 without control characters and blanks at the ends.
    function isVehicle(bytes32 text) internal pure returns (bool) {
        uint256 length = _length(text);
        if (length == 0 || !_trimmed(text, length)) return false;
        uint256 at;
        while (at < length) {
            uint256 size = _character(text, at);
            if (size == 0) return false;
            at += size;
        }
        // A character that was cut off at the end has run into the padding or beyond the word.
        return at == length;
    }

    /// @notice Whether `id` ends in the decimal digits of `timestamp`, and how long the text before is.
    function endsInTimestamp(bytes calldata id, uint256 timestamp) internal pure returns (bool, uint256) {
        unchecked {
            uint256 at = id.length;
            do {
                if (at == 0 || uint8(id[--at]) != 48 + (timestamp % 10)) return (false, 0);
                timestamp /= 10;
            } while (timestamp != 0);
            return (true, at);
        }
    }

    /// @notice Writes a number's decimal digits into `text` from `at` on, and returns where they end.
    function writeDecimal(bytes memory text, uint256 at, uint256 value) internal pure returns (uint256 end) {
        unchecked {
            end = at + 1;
            for (uint256 rest = value / 10; rest != 0; rest /= 10) ++end;
            for (uint256 i = end; i != at; value /= 10) text[--i] = bytes1(uint8(48 + (value % 10)));
        }
    }

    /// The size of the well-formed, printable character at `at`, or 0 (RFC 3629, section 4).
    function _character(bytes32 text, uint256 at) private pure returns (uint256) {
        uint256 lead = uint8(text[at]);
        if (lead < 0x80) return _in(PRINTABLE, lead) ? 1 : 0;
        if (lead < 0xc2 || lead > 0xf4) return 0;
        uint256 size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (at + size > 32) return 0;
        // The second byte's range keeps out longer forms than needed, surrogates, codes beyond
        // U+10FFFF, and the control characters U+0080 to U+009F.
        uint256 low = lead == 0xe0 || lead == 0xc2 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        uint256 high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        uint256 second = uint8(text[at + 1]);
        if (second < low || second > high) return 0;
        for (uint256 i = at + 2; i < at + size; ++i) {
            if (uint8(text[i]) & 0xc0 != 0x80) return 0;
        }
        return size;
    }

    /// The number of bytes before the padding; 0 for an empty text and for one with a zero inside.
    function _length(bytes32 text) private pure returns (uint256 length) {
        while (length < 32 && text[length] != 0) ++length;
        if (length < 32 && uint256(text) << (8 * length) != 0) return 0;
    }

    function _trimmed(bytes32 text, uint256 length) private pure returns (bool) {
        return uint8(text[0]) != BLANK && uint8(text[length - 1]) != BLANK;
    }

    function _all(uint256 set, bytes32 text, uint256 length) private pure returns (bool) {
        for (uint256 i; i < length; ++i) {
            if (!_in(set, uint8(text[i]))) return false;
        }
        return true;
    }

    function _in(uint256 set, uint256 character) private pure returns (bool) {
        return (set >> character) & 1 != 0;
    }
}
