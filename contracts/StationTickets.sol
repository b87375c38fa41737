// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fields} from "./Fields.sol";
import {Packed} from "./Packed.sol";
import {Records} from "./Records.sol";
import {Search} from "./Search.sol";
import {Entry, Filter, MAX_BATCH, Ticket} from "./Ticket.sol";

/// @title The weighing tickets of one station
/// @author The Steelyard developers
/// @notice Holds every ticket that the station has emitted. The account that deploys the contract is the
/// station; it alone registers, and nobody, the station included, alters or removes a ticket.
/// @dev Storage, indexes and cursors: docs/decisions/contract-storage.md and contract-indexes.md.
contract StationTickets {
    using Packed for Records.Book;
    using Records for Records.Book;
    using Search for Records.Book;

    /// @notice Somebody else than the station tried to register.
    error NotTheStation(address caller);
    /// @notice A ticket with this id is registered already, or stands earlier in the same batch.
    error TicketKnown(string id);
    /// @notice gross - tare is not net.
    error NetMismatch(string id);
    /// @notice The ticket has no load cells.
    error NoCells(string id);
    /// @notice The ticket has more than 32 load cells.
    error TooManyCells(string id, uint256 count);
    /// @notice A field holds what a ticket may not hold; `name` is the field's name in the ABI.
    error InvalidField(string id, string name);
    /// @notice A batch has no ticket.
    error EmptyBatch();
    /// @notice A batch has more than 200 tickets.
    error BatchTooLarge(uint256 size, uint256 maximum);
    /// @notice The bytes of a packed batch end too early, go on too long, or name what is not there, at `place`.
    error MalformedBatch(uint256 place);
    /// @notice No ticket has this id.
    error UnknownTicket(string id);
    /// @notice A page holds 1 to 500 tickets.
    error LimitOutOfRange(uint256 limit, uint256 maximum);

    /// @notice Tickets were registered, with the indexes from `firstIndex` on; one event a transaction.
    event TicketsRegistered(uint64 indexed firstIndex, uint64 count);

    /// @notice The only account that may register. Written once, by the constructor.
    /// @dev Not `immutable`: so every station's code is byte for byte the artefact's, which a party can check.
    address public station;

    Records.Book private _book;

    /// @notice The deployer is the station, for ever.
    constructor() {
        station = msg.sender;
    }

    modifier onlyStation() {
        if (msg.sender != station) revert NotTheStation(msg.sender);
        _;
    }

    /// @notice Registers one ticket.
    /// @param t The ticket; its id must be new.
    function register(Ticket calldata t) external onlyStation {
        emit TicketsRegistered(uint64(_book.add(t)), 1);
    }

    /// @notice Registers 1 to 200 tickets in their order: all of them, or none.
    /// @param t The tickets; their ids must be new, and differ.
    function registerMany(Ticket[] calldata t) external onlyStation {
        if (t.length == 0) revert EmptyBatch();
        if (t.length > MAX_BATCH) revert BatchTooLarge(t.length, MAX_BATCH);
        uint256 first = _book.add(t[0]);
        for (uint256 i = 1; i < t.length; ++i) _book.add(t[i]);
        emit TicketsRegistered(uint64(first), uint64(t.length));
    }

    /// @notice Registers 1 to 200 tickets in their order, packed into few bytes: all of them, or none. What is
    /// registered, and what is refused, is the same as by `registerMany`.
    /// @param batch The tickets, in the encoding that Packed.sol describes.
    function registerPacked(bytes calldata batch) external onlyStation {
        (uint256 first, uint256 size) = _book.addAll(batch);
        emit TicketsRegistered(uint64(first), uint64(size));
    }

    /// @notice The next tickets that pass a filter, in the order of (timestamp, index), or against it.
    /// @param f The filter.
    /// @param cursor 0 to begin; else the key (timestamp << 64 | index) of a ticket, to go on strictly behind it.
    /// @param limit The most tickets to return, 1 to 500.
    /// @return page The tickets found. The scan is bounded, so it may be short, even empty, with more to come.
    /// @return next The key of the last ticket looked at, to go on with; 0 when nothing is left.
    function query(Filter calldata f, uint256 cursor, uint256 limit)
        external
        view
        returns (Entry[] memory page, uint256 next)
    {
        return _book.query(f, cursor, limit);
    }

    /// @notice How many tickets pass a filter. A filter by time and weighbridge costs the same for any
    /// number of tickets and is counted at once; others are scanned within the bound.
    /// @param f The filter.
    /// @param cursor 0 to begin, else the last call's `next`; or a key, as in `query`.
    /// @return found The number behind the cursor, as far as this call has looked.
    /// @return next The key to go on with; 0 when nothing is left.
    function count(Filter calldata f, uint256 cursor) external view returns (uint256 found, uint256 next) {
        return _book.count(f, cursor);
    }

    /// @notice The ticket with an id; reverts with UnknownTicket when there is none.
    /// @param id The ticket's id.
    function get(string calldata id) external view returns (Entry memory) {
        uint256 index = _book.find(id);
        if (index == 0) revert UnknownTicket(id);
        return _book.load(index);
    }

    /// @notice What is registered under some ids, as hashes: keccak256(abi.encode(ticket)), the ticket
    /// being the struct Ticket; 0 where an id is unknown.
    /// @param ids The ids.
    function fingerprints(string[] calldata ids) external view returns (bytes32[] memory found) {
        found = new bytes32[](ids.length);
        for (uint256 i; i < ids.length; ++i) {
            uint256 index = _book.find(ids[i]);
            if (index != 0) found[i] = keccak256(abi.encode(_book.load(index).ticket));
        }
    }

    /// @notice The number of tickets registered.
    function total() external view returns (uint64) {
        return uint64(_book.total());
    }
}
