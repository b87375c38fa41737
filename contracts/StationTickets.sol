// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title The weighing tickets of one station
contract StationTickets {
    struct Cell { bytes32 serial; int64 weight; }
    struct Ticket {
        string id; bytes32 terminalSerial; uint32 terminalRestart; uint64 timestamp; bytes32 scaleSerial;
        bytes32 status; int64 gross; int64 tare; int64 net; bytes32 vehicle; Cell[] cells;
    }
    struct Entry { Ticket ticket; uint64 index; uint64 blockNumber; }
    struct Filter {
        string id; bytes32 terminalSerial; uint32 restartFrom; uint32 restartTo; uint64 timestampFrom; uint64 timestampTo;
        bytes32 scaleSerial; bytes32 status; bytes32 vehicle; int64 grossFrom; int64 grossTo; int64 tareFrom; int64 tareTo;
        int64 netFrom; int64 netTo; bytes32 cellSerial; int64 cellWeightFrom; int64 cellWeightTo; bool newestFirst;
    }
    event TicketsRegistered(uint64 indexed firstIndex, uint64 count);
    error NotTheStation(address caller);
    error TicketKnown(string id);
    error NetMismatch(string id);
    error NoCells(string id);
    error TooManyCells(string id, uint256 count);
    error InvalidField(string id, string name);
    error EmptyBatch();
    error BatchTooLarge(uint256 size, uint256 limit);
    error UnknownTicket(string id);
    error LimitOutOfRange(uint256 limit, uint256 maximum);

    address public station;
    uint64 public total;
    mapping(uint256 => Ticket) private _tickets;
    mapping(uint256 => uint64) private _blocks;
    mapping(bytes32 => uint64) private _indexOf;
    uint64[] private _order;

    constructor() { station = msg.sender; }

    function register(Ticket calldata t) external {
        if (msg.sender != station) revert NotTheStation(msg.sender);
        _add(t);
        emit TicketsRegistered(total, 1);
    }

    function registerMany(Ticket[] calldata t) external {
        if (msg.sender != station) revert NotTheStation(msg.sender);
        if (t.length == 0) revert EmptyBatch();
        if (t.length > 200) revert BatchTooLarge(t.length, 200);
        uint64 first = total + 1;
        for (uint256 i; i < t.length; ++i) _add(t[i]);
        emit TicketsRegistered(first, uint64(t.length));
    }

    function _add(Ticket calldata t) private {
        bytes32 key = keccak256(bytes(t.id));
        if (bytes(t.id).length == 0 || bytes(t.id).length > 96) revert InvalidField(t.id, "id");
        if (t.timestamp > 253402300799999) revert InvalidField(t.id, "timestamp");
        if (t.terminalSerial == 0) revert InvalidField(t.id, "terminalSerial");
        if (t.scaleSerial == 0) revert InvalidField(t.id, "scaleSerial");
        if (t.status == 0) revert InvalidField(t.id, "status");
        if (t.gross < 0 || t.gross > 2147483647) revert InvalidField(t.id, "gross");
        if (t.tare < 0 || t.tare > 2147483647) revert InvalidField(t.id, "tare");
        if (t.gross - t.tare != t.net) revert NetMismatch(t.id);
        if (t.cells.length == 0) revert NoCells(t.id);
        if (t.cells.length > 32) revert TooManyCells(t.id, t.cells.length);
        if (_indexOf[key] != 0) revert TicketKnown(t.id);
        uint64 index = ++total;
        _indexOf[key] = index;
        _tickets[index] = t;
        _blocks[index] = uint64(block.number);
        _order.push(index);
        uint256 at = _order.length - 1;
        for (; at > 0 && _tickets[_order[at - 1]].timestamp > t.timestamp; --at) _order[at] = _order[at - 1];
        _order[at] = index;
    }

    function get(string calldata id) external view returns (Entry memory) {
        uint64 index = _indexOf[keccak256(bytes(id))];
        if (index == 0) revert UnknownTicket(id);
        return Entry(_tickets[index], index, _blocks[index]);
    }

    function fingerprints(string[] calldata ids) external view returns (bytes32[] memory found) {
        found = new bytes32[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            uint64 index = _indexOf[keccak256(bytes(ids[i]))];
            if (index != 0) found[i] = keccak256(abi.encode(_tickets[index]));
        }
    }

    function query(Filter calldata f, uint256 cursor, uint256 limit) external view returns (Entry[] memory page, uint256 next) {
        if (limit == 0 || limit > 500) revert LimitOutOfRange(limit, 500);
        page = new Entry[](limit);
        uint256 found;
        uint256 n = _order.length;
        for (uint256 k; k < n; ++k) {
            uint64 index = _order[f.newestFirst ? n - 1 - k : k];
            Ticket memory t = _tickets[index];
            uint256 key = uint256(t.timestamp) << 64 | index;
            if (cursor != 0 && (f.newestFirst ? key >= cursor : key <= cursor)) continue;
            if (found == limit) break;
            next = key;
            if (_matches(f, t)) page[found++] = Entry(t, index, _blocks[index]);
        }
        if (found < limit) next = 0;
        assembly ("memory-safe") { mstore(page, found) }
    }

    function count(Filter calldata f, uint256 cursor) external view returns (uint256 found, uint256 next) {
        for (uint256 k; k < _order.length; ++k) {
            Ticket memory t = _tickets[_order[k]];
            uint256 key = uint256(t.timestamp) << 64 | _order[k];
            if (cursor != 0 && (f.newestFirst ? key >= cursor : key <= cursor)) continue;
            if (_matches(f, t)) ++found;
        }
        next = 0;
    }

    function _matches(Filter calldata f, Ticket memory t) private pure returns (bool) {
        if (bytes(f.id).length != 0 && keccak256(bytes(f.id)) != keccak256(bytes(t.id))) return false;
        if (f.terminalSerial != 0 && f.terminalSerial != t.terminalSerial) return false;
        if (t.terminalRestart < f.restartFrom || t.terminalRestart > f.restartTo) return false;
        if (t.timestamp < f.timestampFrom || t.timestamp > f.timestampTo) return false;
        if (f.scaleSerial != 0 && f.scaleSerial != t.scaleSerial) return false;
        if (f.status != 0 && f.status != t.status) return false;
        if (f.vehicle != 0 && f.vehicle != t.vehicle) return false;
        if (t.gross < f.grossFrom || t.gross > f.grossTo) return false;
        if (t.tare < f.tareFrom || t.tare > f.tareTo) return false;
        if (t.net < f.netFrom || t.net > f.netTo) return false;
        for (uint256 i; i < t.cells.length; ++i) {
            Cell memory c = t.cells[i];
            if ((f.cellSerial == 0 || f.cellSerial == c.serial) && c.weight >= f.cellWeightFrom && c.weight <= f.cellWeightTo) return true;
        }
        return false;
    }
}
