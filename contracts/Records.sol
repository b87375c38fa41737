// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fields} from "./Fields.sol";
import {StationTickets} from "./StationTickets.sol";
import {Cell, Entry, MAX_CELLS, MAX_GRAMS, MAX_ID_BYTES, MAX_TIMESTAMP, MIN_GRAMS, Ticket} from "./Ticket.sol";
import {TimeIndex} from "./TimeIndex.sol";

/// @title Tickets, packed
/// @notice A ticket takes one word of header, one word for 8 cell weights, and the word that finds it by
/// its id; what tickets of one weighbridge share (terminal, weighbridge, status, the cells' serials, the
/// id up to its time) is kept once, as a layout. An id that does not end in the ticket's own timestamp
/// takes 1 to 3 words more.
library Records {
    using TimeIndex for TimeIndex.Forest;

    // A header, from the low end: timestamp 48, gross 32, tare 32, restart 32, block 40, layout 32,
    // vehicle 32, id length 7 bits (0: the id is the layout's prefix and the timestamp in decimal).
    uint256 internal constant GROSS = 48;
    uint256 internal constant TARE = 80;
    uint256 internal constant RESTART = 112;
    uint256 private constant BLOCK = 144;
    uint256 internal constant LAYOUT = 184;
    uint256 internal constant VEHICLE = 216;
    uint256 internal constant ID_LENGTH = 248;
    uint256 internal constant NO_VEHICLE = type(uint256).max;

    // A layout's first word, from the low end: scale 32, terminal 32, status 32 (indexes of texts), number of
    // cells 8, length of the id's prefix 8 bits. Words 1 to 4: the cells' serials, 32 bits each; 5 to 7: the prefix.
    uint256 internal constant TERMINAL = 32;
    uint256 internal constant STATUS = 64;
    uint256 internal constant CELLS = 96;
    uint256 private constant PREFIX_LENGTH = 104;
    uint256 private constant PREFIX = 5;

    /// `forest.headers` holds the tickets' headers by index; tree 0 orders all, tree s those of the
    /// weighbridge whose serial is text s. `weights`, `ids` and `layouts` hold the words of an item
    /// under item << 3 | word.
    struct Book {
        TimeIndex.Forest forest;
        mapping(bytes32 idHash => uint256 index) indexes;
        mapping(uint256 ticketAndWord => uint256 eightWeights) weights;
        mapping(uint256 ticketAndWord => bytes32 part) ids;
        mapping(bytes32 layoutHash => uint256 layout) layoutIndexes;
        mapping(uint256 layoutAndWord => uint256 word) layouts;
        mapping(bytes32 text => uint256 index) textIndexes;
        mapping(uint256 index => bytes32 text) texts;
        uint256 textCount;
        uint256 layoutCount;
    }

    /// What the tickets of a layout share, the part of their ids before the time left out.
    struct Shape {
        bytes32 terminal;
        bytes32 scale;
        bytes32 status;
        bytes32[] serials;
    }

    function total(Book storage self) internal view returns (uint256) {
        return self.forest.sizes[0];
    }

    /// The index of the ticket with an id; 0 when there is none.
    function find(Book storage self, string memory id) internal view returns (uint256) {
        return self.indexes[keccak256(bytes(id))];
    }

    /// Registers a ticket and returns its index.
    function add(Book storage self, Ticket calldata t) internal returns (uint256 index) {
        // Nothing that this function puts into memory is used after it: a batch needs no more than its largest ticket.
        uint256 free;
        assembly ("memory-safe") { free := mload(0x40) }
        _check(self, t);
        index = total(self) + 1;
        (uint256 layout, uint256 idLength) = _layoutOf(self, t);
        for (uint256 i; i < idLength; i += 32) self.ids[(index << 3) | (i >> 5)] = part(bytes(t.id), i, idLength);
        _storeWeights(self, index, t.cells);
        uint256 vehicle = vehicleOf(self, t.vehicle);
        if (vehicle == NO_VEHICLE) revert StationTickets.InvalidField(t.id, "vehicle");
        uint256 header = uint256(t.timestamp) | (uint256(uint64(t.gross)) << GROSS)
            | (uint256(uint64(t.tare)) << TARE) | (uint256(t.terminalRestart) << RESTART) | (vehicle << VEHICLE)
            | (idLength << ID_LENGTH);
        place(self, keccak256(bytes(t.id)), header, layout);
        assembly ("memory-safe") { mstore(0x40, free) }
    }

    /// Puts a ticket whose other words are written under the next index into its order, and under its id.
    /// `header` is without the block and the layout.
    function place(Book storage self, bytes32 idHash, uint256 header, uint256 layout) internal {
        uint256 index = total(self) + 1;
        assert(index <= type(uint32).max);
        self.indexes[idHash] = index;
        self.forest.headers[index] = header | (uint256(uint40(block.number)) << BLOCK) | (layout << LAYOUT);
        uint256 timestamp = uint48(header);
        self.forest.insert(0, timestamp, index);
        self.forest.insert(uint32(self.layouts[layout << 3]), timestamp, index);
    }

    /// The ticket with an index that is in use.
    function load(Book storage self, uint256 index) internal view returns (Entry memory entry) {
        unchecked {
            uint256 header = self.forest.headers[index];
            uint256 layout = uint32(header >> LAYOUT);
            uint256 word = self.layouts[layout << 3];
            Ticket memory t = entry.ticket;
            t.timestamp = uint48(header);
            t.gross = int64(uint64(uint32(header >> GROSS)));
            t.tare = int64(uint64(uint32(header >> TARE)));
            t.net = t.gross - t.tare;
            t.terminalRestart = uint32(header >> RESTART);
            t.terminalSerial = self.texts[uint32(word >> TERMINAL)];
            t.scaleSerial = self.texts[uint32(word)];
            t.status = self.texts[uint32(word >> STATUS)];
            t.vehicle = self.texts[uint32(header >> VEHICLE)];
            t.id = _loadId(self, index, header, word);
            uint256 count = uint8(word >> CELLS);
            t.cells = new Cell[](count);
            for (uint256 i; i < count; ++i) {
                (uint256 serial, int256 weight) = cellOf(self, index, layout, i);
                Cell memory cell = t.cells[i];
                cell.serial = self.texts[serial];
                cell.weight = int64(weight);
            }
            entry.index = uint64(index);
            entry.blockNumber = uint40(header >> BLOCK);
        }
    }

    /// The i-th cell of a ticket: the index of its serial's text, and the grams.
    function cellOf(Book storage self, uint256 index, uint256 layout, uint256 i)
        internal
        view
        returns (uint256 serial, int256 weight)
    {
        unchecked {
            uint256 shift = (i & 7) << 5;
            serial = uint32(self.layouts[(layout << 3) | (1 + (i >> 3))] >> shift);
            weight = int32(uint32(self.weights[(index << 3) | (i >> 3)] >> shift));
        }
    }

    /// What can be told from the ticket and its id alone; the texts are looked at when they are new.
    function _check(Book storage self, Ticket calldata t) private view {
        if (!Fields.isId(bytes(t.id))) revert StationTickets.InvalidField(t.id, "id");
        if (find(self, t.id) != 0) revert StationTickets.TicketKnown(t.id);
        if (t.timestamp > MAX_TIMESTAMP) revert StationTickets.InvalidField(t.id, "timestamp");
        if (t.gross < 0 || t.gross > MAX_GRAMS) revert StationTickets.InvalidField(t.id, "gross");
        if (t.tare < 0 || t.tare > MAX_GRAMS) revert StationTickets.InvalidField(t.id, "tare");
        if (t.gross - t.tare != t.net) revert StationTickets.NetMismatch(t.id);
        if (t.cells.length == 0) revert StationTickets.NoCells(t.id);
        if (t.cells.length > MAX_CELLS) revert StationTickets.TooManyCells(t.id, t.cells.length);
    }

    function _storeWeights(Book storage self, uint256 index, Cell[] calldata cells) private {
        uint256 word;
        for (uint256 i; i < cells.length; ++i) {
            word |= uint256(uint32(int32(cells[i].weight))) << ((i & 7) << 5);
            if (i & 7 == 7 || i + 1 == cells.length) {
                self.weights[(index << 3) | (i >> 3)] = word;
                word = 0;
            }
        }
    }

    /// The layout of a ticket, made when it is new, and the length of the id where the layout cannot give it.
    function _layoutOf(Book storage self, Ticket calldata t) private returns (uint256 layout, uint256 idLength) {
        (bool derived, uint256 prefixLength) = Fields.endsInTimestamp(bytes(t.id), t.timestamp);
        if (!derived) (prefixLength, idLength) = (0, bytes(t.id).length);
        bytes calldata prefix = bytes(t.id)[:prefixLength];
        bytes32[] memory serials = new bytes32[](t.cells.length);
        for (uint256 i; i < serials.length; ++i) {
            Cell calldata cell = t.cells[i];
            serials[i] = cell.serial;
            if (cell.weight < MIN_GRAMS || cell.weight > MAX_GRAMS) {
                revert StationTickets.InvalidField(t.id, "cells.weight");
            }
        }
        Shape memory shape = Shape(t.terminalSerial, t.scaleSerial, t.status, serials);
        bytes32 key = layoutKey(shape, prefix);
        layout = self.layoutIndexes[key];
        if (layout == 0) {
            string memory wrong = wrongText(shape);
            if (bytes(wrong).length != 0) revert StationTickets.InvalidField(t.id, wrong);
            layout = makeLayout(self, key, shape, prefix);
        }
    }

    /// What tells a layout from all others.
    function layoutKey(Shape memory shape, bytes calldata prefix) internal pure returns (bytes32) {
        return keccak256(abi.encode(shape.terminal, shape.scale, shape.status, prefix, shape.serials));
    }

    /// The name of the text that a ticket may not have; empty where all are as they must be.
    function wrongText(Shape memory shape) internal pure returns (string memory) {
        if (!Fields.isSerial(shape.terminal)) return "terminalSerial";
        if (!Fields.isSerial(shape.scale)) return "scaleSerial";
        if (!Fields.isStatus(shape.status)) return "status";
        for (uint256 i; i < shape.serials.length; ++i) {
            if (!Fields.isSerial(shape.serials[i])) return "cells.serial";
        }
        return "";
    }

    /// Keeps a layout that is new and whose texts are as they must be, and returns its number.
    function makeLayout(Book storage self, bytes32 key, Shape memory shape, bytes calldata prefix)
        internal
        returns (uint256 layout)
    {
        layout = ++self.layoutCount;
        assert(layout <= type(uint32).max);
        self.layoutIndexes[key] = layout;
        uint256 count = shape.serials.length;
        self.layouts[layout << 3] = _intern(self, shape.scale) | (_intern(self, shape.terminal) << TERMINAL)
            | (_intern(self, shape.status) << STATUS) | (count << CELLS) | (prefix.length << PREFIX_LENGTH);
        uint256 word;
        for (uint256 i; i < count; ++i) {
            word |= _intern(self, shape.serials[i]) << ((i & 7) << 5);
            if (i & 7 == 7 || i + 1 == count) {
                self.layouts[(layout << 3) | (1 + (i >> 3))] = word;
                word = 0;
            }
        }
        for (uint256 i; i < prefix.length; i += 32) {
            self.layouts[(layout << 3) | (PREFIX + (i >> 5))] = uint256(part(prefix, i, prefix.length));
        }
    }

    /// The index of the vehicle's text, 0 without a vehicle, NO_VEHICLE for a text that is none.
    function vehicleOf(Book storage self, bytes32 text) internal returns (uint256 vehicle) {
        if (text == 0) return 0;
        vehicle = self.textIndexes[text];
        // Every text that is known is a valid vehicle, for the rules of serials and status are stricter.
        if (vehicle != 0) return vehicle;
        return Fields.isVehicle(text) ? _intern(self, text) : NO_VEHICLE;
    }

    function _intern(Book storage self, bytes32 text) private returns (uint256 index) {
        index = self.textIndexes[text];
        if (index == 0) {
            index = ++self.textCount;
            assert(index <= type(uint32).max);
            self.textIndexes[text] = index;
            self.texts[index] = text;
        }
    }

    /// The 32 bytes from `start` on, zero beyond `length`.
    function part(bytes calldata text, uint256 start, uint256 length) internal pure returns (bytes32) {
        uint256 end = start + 32 < length ? start + 32 : length;
        return bytes32(text[start:end]);
    }

    function _loadId(Book storage self, uint256 index, uint256 header, uint256 layoutWord)
        private
        view
        returns (string memory)
    {
        unchecked {
            uint256 length = header >> ID_LENGTH;
            if (length != 0) {
                bytes memory whole = new bytes(MAX_ID_BYTES);
                for (uint256 i; i < length; i += 32) _write(whole, i, self.ids[(index << 3) | (i >> 5)]);
                return _cut(whole, length);
            }
            length = uint8(layoutWord >> PREFIX_LENGTH);
            uint256 timestamp = uint48(header);
            // A word more than an id may have: a word of the prefix is written whole.
            bytes memory text = new bytes(MAX_ID_BYTES + 32);
            uint256 first = (uint256(uint32(header >> LAYOUT)) << 3) | PREFIX;
            for (uint256 i; i < length; i += 32) _write(text, i, bytes32(self.layouts[first + (i >> 5)]));
            return _cut(text, Fields.writeDecimal(text, length, timestamp));
        }
    }

    function _write(bytes memory text, uint256 at, bytes32 word) private pure {
        assembly ("memory-safe") { mstore(add(add(text, 32), at), word) }
    }

    function _cut(bytes memory text, uint256 length) private pure returns (string memory) {
        assembly ("memory-safe") { mstore(text, length) }
        return string(text);
    }
}
