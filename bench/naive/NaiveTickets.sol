// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ticket} from "./Ticket.sol";

/// @title What a newcomer writes: an array of tickets, and a search from its first to its last
/// @author The Steelyard developers
/// @notice The other side of bench/ledger.py. It refuses nothing, so registering costs it less than it should.
contract NaiveTickets {
    Ticket[] private _tickets;

    /// @notice Registers one ticket.
    function register(Ticket calldata t) external {
        _tickets.push(t);
    }

    /// @notice Registers many: how the benchmark fills the contract before it queries; no figure of registering.
    function fill(Ticket[] calldata t) external {
        for (uint256 i; i < t.length; ++i) _tickets.push(t[i]);
    }

    /// @notice The number of tickets registered.
    function total() external view returns (uint256) {
        return _tickets.length;
    }

    /// @notice The tickets of a range of time (both ends included) and of a weighbridge (0: any), in the
    /// order of registration: at most `limit` of them after the first `offset`.
    function query(uint64 timestampFrom, uint64 timestampTo, bytes32 scaleSerial, uint256 offset, uint256 limit)
        external
        view
        returns (Ticket[] memory page)
    {
        Ticket[] memory found = new Ticket[](limit);
        uint256 passed;
        uint256 taken;
        for (uint256 i; i < _tickets.length && taken < limit; ++i) {
            Ticket storage t = _tickets[i];
            if (t.timestamp < timestampFrom || t.timestamp > timestampTo) continue;
            if (scaleSerial != 0 && t.scaleSerial != scaleSerial) continue;
            if (passed++ >= offset) found[taken++] = t;
        }
        page = new Ticket[](taken);
        for (uint256 i; i < taken; ++i) page[i] = found[i];
    }
}
