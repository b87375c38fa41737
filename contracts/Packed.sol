// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fields} from "./Fields.sol";
import {Records} from "./Records.sol";
import {StationTickets} from "./StationTickets.sol";
import {MAX_BATCH, MAX_CELLS, MAX_GRAMS, MAX_ID_BYTES, MAX_TIMESTAMP} from "./Ticket.sol";

/// @title A batch of tickets in few bytes
/// @notice What the tickets of a weighbridge share is written once a batch, as the storage keeps it once; a
/// ticket of four cells then takes some 50 bytes instead of the 770 of its ABI encoding. Numbers are big-endian:
///
///     batch   layouts:1  layout*  tickets:1  ticket*
///     layout  terminal:32  scale:32  status:32  cells:1  prefix length:1  prefix  serial:32 * cells
///     ticket  layout:1  timestamp:6  gross:4  tare:4  restart:4  vehicle length:1  vehicle
///             id length:1  id  weight:4 * cells
///
/// An id length of 0 says that the id is the layout's prefix with the timestamp in decimal behind it. Weights
/// stand as the storage has them: in groups of 8, in a group the last cell first. Net is gross - tare.
///
/// Some tickets in their order have one such batch, and no other is taken: every layout is used, they differ, and
/// stand in the order of their first use; an id that can be derived is; an id that is written out has a
/// layout without a prefix; a vehicle's last byte is not zero.
library Packed {
    using Records for Records.Book;

    uint256 private constant LAYOUT_HEAD = 98;
    uint256 private constant TICKET_HEAD = 20;
    // Of a layout in `Batch.shapes`, from the low end: its place in the data 32 bits, cells 8, prefix length 8.
    uint256 private constant CELLS = 32;
    uint256 private constant PREFIX = 40;
    uint256 private constant SCRATCH = MAX_ID_BYTES + 32;

    /// A batch while it is read. `layouts` are the numbers in the storage of the first `used` ones;
    /// `scratch` is where ids are put together.
    struct Batch {
        uint256[] shapes;
        uint256[] layouts;
        uint256 used;
        bytes scratch;
    }

    /// One ticket's place: its fixed part, its id's place and length (0: derived), and its layout's shape.
    struct Item {
        uint256 head;
        uint256 shape;
        uint256 idAt;
        uint256 idLength;
    }

    /// Registers all tickets of a batch; returns the first one's index, and their number.
    function addAll(Records.Book storage book, bytes calldata data) internal returns (uint256 first, uint256 count) {
        unchecked {
            (Batch memory batch, uint256 at) = _readLayouts(data);
            count = _byte(data, at);
            if (count == 0 && at < data.length) revert StationTickets.EmptyBatch();
            if (count > MAX_BATCH) revert StationTickets.BatchTooLarge(count, MAX_BATCH);
            first = book.total() + 1;
            Item memory item;
            ++at;
            for (uint256 i; i < count; ++i) at = _add(book, batch, item, data, at);
            if (at != data.length || batch.used != batch.shapes.length) revert StationTickets.MalformedBatch(at);
        }
    }

    function _readLayouts(bytes calldata data) private pure returns (Batch memory batch, uint256 at) {
        unchecked {
            uint256 count = _byte(data, 0);
            batch.shapes = new uint256[](count);
            batch.layouts = new uint256[](count);
            batch.scratch = new bytes(SCRATCH);
            at = 1;
            for (uint256 i; i < count; ++i) {
                uint256 cells = _byte(data, at + LAYOUT_HEAD - 2);
                uint256 prefixLength = _byte(data, at + LAYOUT_HEAD - 1);
                batch.shapes[i] = at | (cells << CELLS) | (prefixLength << PREFIX);
                at += LAYOUT_HEAD + prefixLength + 32 * cells;
                if (at > data.length) revert StationTickets.MalformedBatch(at);
            }
        }
    }

    /// Registers the ticket at a place, and returns where it ends. The order of the checks is that of `register`.
    function _add(
        Records.Book storage book,
        Batch memory batch,
        Item memory item,
        bytes calldata data,
        uint256 at
    ) private returns (uint256 end) {
        unchecked {
            uint256 head = uint256(_word(data, at));
            uint256 number = head >> 248;
            if (number >= batch.shapes.length || number > batch.used) revert StationTickets.MalformedBatch(at);
            item.head = head;
            item.shape = batch.shapes[number];
            at += TICKET_HEAD;
            uint256 length = uint8(head >> 96);
            if (length > 32) revert StationTickets.MalformedBatch(at);
            // A shift by 256 gives 0, and the mask of no bytes.
            bytes32 vehicle = _word(data, at) & ~bytes32((1 << (256 - 8 * length)) - 1);
            at += length;
            if (length != 0 && _byte(data, at - 1) == 0) revert StationTickets.MalformedBatch(at);
            item.idLength = _byte(data, at);
            item.idAt = ++at;
            at += item.idLength;
            uint256 cells = uint8(item.shape >> CELLS);
            end = at + 4 * cells;
            if (end > data.length) revert StationTickets.MalformedBatch(end);
            bytes32 idHash = _check(book, batch, item, data);
            if (number == batch.used) _useLayout(book, batch, item, data);
            uint256 layout = batch.layouts[number];
            uint256 index = book.total() + 1;
            uint256 vehicleIndex = book.vehicleOf(vehicle);
            if (vehicleIndex == Records.NO_VEHICLE) _refuse(batch, item, data, "vehicle");
            for (uint256 i; i < item.idLength; i += 32) {
                book.ids[(index << 3) | (i >> 5)] =
                    Records.part(data[item.idAt:item.idAt + item.idLength], i, item.idLength);
            }
            for (uint256 i; i < cells; i += 8) {
                uint256 group = cells - i < 8 ? cells - i : 8;
                book.weights[(index << 3) | (i >> 3)] = uint256(_word(data, at)) >> (256 - 32 * group);
                at += 4 * group;
            }
            uint256 header = uint48(head >> 200) | (uint256(uint32(head >> 168)) << Records.GROSS)
                | (uint256(uint32(head >> 136)) << Records.TARE) | (uint256(uint32(head >> 104)) << Records.RESTART)
                | (vehicleIndex << Records.VEHICLE) | (item.idLength << Records.ID_LENGTH);
            book.place(idHash, header, layout);
        }
    }

    /// What can be told from the ticket and its id alone; returns the hash of the id.
    function _check(Records.Book storage book, Batch memory batch, Item memory item, bytes calldata data)
        private
        view
        returns (bytes32 idHash)
    {
        unchecked {
            if (item.idLength != 0) {
                bytes calldata id = data[item.idAt:item.idAt + item.idLength];
                if (!Fields.isId(id)) _refuse(batch, item, data, "id");
                (bool derived,) = Fields.endsInTimestamp(id, uint48(item.head >> 200));
                bool hasPrefix = uint8(item.shape >> PREFIX) != 0;
                if (derived || hasPrefix) revert StationTickets.MalformedBatch(item.idAt);
            } else if (uint8(item.head >> 248) == batch.used) {
                // Checked when its layout is used first, and by nothing but such tickets; digits may stand anywhere.
                bytes calldata prefix = _prefix(item.shape, data);
                if (prefix.length != 0 && !Fields.isId(prefix)) _refuse(batch, item, data, "id");
            }
            (uint256 start, uint256 size) = _writeId(batch, item, data);
            if (size > MAX_ID_BYTES) _refuse(batch, item, data, "id");
            assembly ("memory-safe") { idHash := keccak256(start, size) }
            if (book.indexes[idHash] != 0) revert StationTickets.TicketKnown(_id(batch, item, data));
            uint256 head = item.head;
            if (uint48(head >> 200) > MAX_TIMESTAMP) _refuse(batch, item, data, "timestamp");
            if (uint32(head >> 168) > uint64(MAX_GRAMS)) _refuse(batch, item, data, "gross");
            if (uint32(head >> 136) > uint64(MAX_GRAMS)) _refuse(batch, item, data, "tare");
        }
    }

    /// Finds or makes the layout that a ticket is the first of its batch to use.
    function _useLayout(Records.Book storage book, Batch memory batch, Item memory item, bytes calldata data)
        private
    {
        unchecked {
            uint256 cells = uint8(item.shape >> CELLS);
            if (cells == 0) revert StationTickets.NoCells(_id(batch, item, data));
            if (cells > MAX_CELLS) revert StationTickets.TooManyCells(_id(batch, item, data), cells);
            bytes calldata prefix = _prefix(item.shape, data);
            uint256 place = uint32(item.shape);
            bytes32[] memory serials = new bytes32[](cells);
            uint256 first = place + LAYOUT_HEAD + prefix.length;
            for (uint256 i; i < cells; ++i) serials[i] = _word(data, first + 32 * i);
            Records.Shape memory shape =
                Records.Shape(_word(data, place), _word(data, place + 32), _word(data, place + 64), serials);
            bytes32 key = Records.layoutKey(shape, prefix);
            uint256 layout = book.layoutIndexes[key];
            if (layout == 0) {
                string memory wrong = Records.wrongText(shape);
                if (bytes(wrong).length != 0) _refuse(batch, item, data, wrong);
                layout = book.makeLayout(key, shape, prefix);
            }
            for (uint256 i; i < batch.used; ++i) {
                if (batch.layouts[i] == layout) revert StationTickets.MalformedBatch(place);
            }
            batch.layouts[batch.used++] = layout;
        }
    }

    /// Writes a ticket's id into the scratch memory, and returns where it begins and its size; of an id that
    /// is too long only the size is right.
    function _writeId(Batch memory batch, Item memory item, bytes calldata data)
        private
        pure
        returns (uint256 start, uint256 size)
    {
        unchecked {
            bytes memory scratch = batch.scratch;
            assembly ("memory-safe") { start := add(scratch, 32) }
            uint256 from = item.idAt;
            uint256 written = item.idLength;
            size = written;
            if (written == 0) {
                from = uint32(item.shape) + LAYOUT_HEAD;
                written = uint8(item.shape >> PREFIX);
                size = written;
                // The digits go to the end of the scratch memory, the prefix before them.
                start += SCRATCH;
                uint256 rest = uint48(item.head >> 200);
                do {
                    --start;
                    assembly ("memory-safe") { mstore8(start, add(48, mod(rest, 10))) }
                    rest /= 10;
                    ++size;
                } while (rest != 0);
                if (size <= MAX_ID_BYTES) start -= written;
            }
            if (size > MAX_ID_BYTES) return (start, size);
            assembly ("memory-safe") { calldatacopy(start, add(data.offset, from), written) }
        }
    }

    function _refuse(Batch memory batch, Item memory item, bytes calldata data, string memory name) private pure {
        revert StationTickets.InvalidField(_id(batch, item, data), name);
    }

    /// The id for an error; of one that is too long, its part that is written in the batch.
    function _id(Batch memory batch, Item memory item, bytes calldata data) private pure returns (string memory) {
        unchecked {
            if (item.idLength != 0) return string(data[item.idAt:item.idAt + item.idLength]);
            (uint256 start, uint256 size) = _writeId(batch, item, data);
            if (size > MAX_ID_BYTES) return string(_prefix(item.shape, data));
            // No mcopy before Cancun. At most 96 bytes, and the array's memory is whole words.
            bytes memory text = new bytes(size);
            for (uint256 i; i < size; i += 32) {
                assembly ("memory-safe") { mstore(add(add(text, 32), i), mload(add(start, i))) }
            }
            return string(text);
        }
    }

    function _prefix(uint256 shape, bytes calldata data) private pure returns (bytes calldata) {
        unchecked {
            uint256 start = uint32(shape) + LAYOUT_HEAD;
            return data[start:start + uint8(shape >> PREFIX)];
        }
    }

    function _byte(bytes calldata data, uint256 at) private pure returns (uint256) {
        return uint256(_word(data, at)) >> 248;
    }

    /// The 32 bytes at a place; what lies behind the data is not told from it, and is refused by the bounds.
    function _word(bytes calldata data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") { word := calldataload(add(data.offset, at)) }
    }
}
