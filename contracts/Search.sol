// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Records} from "./Records.sol";
import {StationTickets} from "./StationTickets.sol";
import {Entry, Filter, MAX_GRAMS, MAX_PAGE, MIN_GRAMS} from "./Ticket.sol";
import {TimeIndex} from "./TimeIndex.sol";

/// @title Filters over the tickets
/// @notice A range of times, of all tickets or of one weighbridge's, is a range of ranks in the time
/// index; what else a filter asks for is looked at ticket by ticket, so many a call.
library Search {
    using Records for Records.Book;
    using TimeIndex for TimeIndex.Forest;

    uint256 private constant MAX_SCAN = 8192;
    /// More than looking at one ticket of 32 cells and putting it on the page may take, all of it cold.
    uint256 private constant STEP_GAS = 400_000;

    /// A filter whose texts are found: their indexes, 0 for any. `onlyRange`: the walk's range says it all.
    struct Plan {
        bool empty;
        bool onlyRange;
        bool looksAtCells;
        uint256 scale;
        uint256 terminal;
        uint256 status;
        uint256 vehicle;
        uint256 cell;
    }

    function query(Records.Book storage book, Filter memory f, uint256 cursor, uint256 limit)
        internal
        view
        returns (Entry[] memory page, uint256 next)
    {
        if (limit == 0 || limit > MAX_PAGE) revert StationTickets.LimitOutOfRange(limit, MAX_PAGE);
        Plan memory plan = _plan(book, f);
        if (plan.empty) return (page, 0);
        if (bytes(f.id).length != 0) {
            uint256 index = _findOne(book, f, plan, cursor);
            if (index == 0) return (page, 0);
            page = new Entry[](1);
            page[0] = book.load(index);
            return (page, 0);
        }
        TimeIndex.Walk memory walk = _walk(book, f, plan.scale, cursor);
        if (walk.low == walk.high) return (page, 0);
        if (limit > walk.high - walk.low) limit = walk.high - walk.low;
        page = _room(limit);
        uint256 last;
        for (uint256 scanned; walk.low < walk.high && page.length < limit && scanned < MAX_SCAN; ++scanned) {
            if (scanned != 0 && gasleft() < _reserve()) break;
            last = book.forest.step(walk);
            if (plan.onlyRange || _matches(book, f, plan, last)) _push(page, book.load(last));
        }
        if (walk.low < walk.high) next = _key(book, last);
    }

    function count(Records.Book storage book, Filter memory f, uint256 cursor)
        internal
        view
        returns (uint256 found, uint256 next)
    {
        Plan memory plan = _plan(book, f);
        if (plan.empty) return (0, 0);
        if (bytes(f.id).length != 0) return (_findOne(book, f, plan, cursor) == 0 ? 0 : 1, 0);
        TimeIndex.Walk memory walk = _walk(book, f, plan.scale, cursor);
        if (plan.onlyRange) return (walk.high - walk.low, 0);
        uint256 last;
        for (uint256 scanned; walk.low < walk.high && scanned < MAX_SCAN; ++scanned) {
            if (scanned != 0 && gasleft() < STEP_GAS) break;
            last = book.forest.step(walk);
            if (_matches(book, f, plan, last)) ++found;
        }
        if (walk.low < walk.high) next = _key(book, last);
    }

    function _plan(Records.Book storage book, Filter memory f) private view returns (Plan memory plan) {
        plan.scale = book.textIndexes[f.scaleSerial];
        plan.terminal = book.textIndexes[f.terminalSerial];
        plan.status = book.textIndexes[f.status];
        plan.vehicle = book.textIndexes[f.vehicle];
        plan.cell = book.textIndexes[f.cellSerial];
        // A text that no ticket has ever used is on none.
        plan.empty = (f.scaleSerial != 0 && plan.scale == 0) || (f.terminalSerial != 0 && plan.terminal == 0)
            || (f.status != 0 && plan.status == 0) || (f.vehicle != 0 && plan.vehicle == 0)
            || (f.cellSerial != 0 && plan.cell == 0) || f.timestampFrom > f.timestampTo;
        plan.looksAtCells = plan.cell != 0 || f.cellWeightFrom > MIN_GRAMS || f.cellWeightTo < MAX_GRAMS;
        plan.onlyRange = plan.terminal | plan.status | plan.vehicle == 0 && !plan.looksAtCells && f.restartFrom == 0
            && f.restartTo == type(uint32).max && f.grossFrom <= 0 && f.grossTo >= MAX_GRAMS && f.tareFrom <= 0
            && f.tareTo >= MAX_GRAMS && f.netFrom <= -MAX_GRAMS && f.netTo >= MAX_GRAMS;
    }

    /// The ranks of the filter's times that lie behind the cursor.
    function _walk(Records.Book storage book, Filter memory f, uint256 tree, uint256 cursor)
        private
        view
        returns (TimeIndex.Walk memory walk)
    {
        walk.tree = tree;
        walk.down = f.newestFirst;
        walk.low = book.forest.rank(tree, f.timestampFrom, 0);
        walk.high = book.forest.rank(tree, uint256(f.timestampTo) + 1, 0);
        if (cursor != 0) {
            // With newestFirst the cursor's own ticket is the first one left out above, else below.
            uint256 bound = book.forest.rank(tree, cursor >> 64, uint256(uint64(cursor)) + (walk.down ? 0 : 1));
            if (walk.down && bound < walk.high) walk.high = bound;
            if (!walk.down && bound > walk.low) walk.low = bound;
        }
        if (walk.high < walk.low) walk.high = walk.low;
    }

    /// The ticket with the filter's id, if it passes the rest and lies behind the cursor; else 0.
    function _findOne(Records.Book storage book, Filter memory f, Plan memory plan, uint256 cursor)
        private
        view
        returns (uint256 index)
    {
        index = book.find(f.id);
        if (index == 0) return 0;
        uint256 key = _key(book, index);
        if (cursor != 0 && (f.newestFirst ? key >= cursor : key <= cursor)) return 0;
        if (!_matches(book, f, plan, index)) return 0;
    }

    function _matches(Records.Book storage book, Filter memory f, Plan memory plan, uint256 index)
        private
        view
        returns (bool)
    {
        unchecked {
            uint256 header = book.forest.headers[index];
            uint256 time = uint48(header);
            if (time < f.timestampFrom || time > f.timestampTo) return false;
            if (plan.vehicle != 0 && plan.vehicle != uint32(header >> Records.VEHICLE)) return false;
            uint256 restart = uint32(header >> Records.RESTART);
            if (restart < f.restartFrom || restart > f.restartTo) return false;
            int256 gross = int256(uint256(uint32(header >> Records.GROSS)));
            if (gross < f.grossFrom || gross > f.grossTo) return false;
            int256 tare = int256(uint256(uint32(header >> Records.TARE)));
            if (tare < f.tareFrom || tare > f.tareTo) return false;
            if (gross - tare < f.netFrom || gross - tare > f.netTo) return false;
            uint256 layout = uint32(header >> Records.LAYOUT);
            uint256 word = book.layouts[layout << 3];
            if (plan.scale != 0 && plan.scale != uint32(word)) return false;
            if (plan.terminal != 0 && plan.terminal != uint32(word >> Records.TERMINAL)) return false;
            if (plan.status != 0 && plan.status != uint32(word >> Records.STATUS)) return false;
            return !plan.looksAtCells || _matchesACell(book, f, plan.cell, index, layout, uint8(word >> Records.CELLS));
        }
    }

    function _matchesACell(
        Records.Book storage book,
        Filter memory f,
        uint256 wanted,
        uint256 index,
        uint256 layout,
        uint256 cells
    ) private view returns (bool) {
        unchecked {
            for (uint256 i; i < cells; ++i) {
                (uint256 serial, int256 weight) = book.cellOf(index, layout, i);
                bool named = wanted == 0 || wanted == serial;
                if (named && weight >= f.cellWeightFrom && weight <= f.cellWeightTo) return true;
            }
            return false;
        }
    }

    /// An empty page with room for some entries; `new` would fill it with empty tickets first.
    function _room(uint256 most) private pure returns (Entry[] memory page) {
        assembly ("memory-safe") {
            page := mload(0x40)
            mstore(page, 0)
            mstore(0x40, add(page, shl(5, add(most, 1))))
        }
    }

    /// Puts an entry on a page that has room for it.
    function _push(Entry[] memory page, Entry memory entry) private pure {
        uint256 found = page.length;
        assembly ("memory-safe") { mstore(page, add(found, 1)) }
        page[found] = entry;
    }

    /// The cursor of a ticket.
    function _key(Records.Book storage book, uint256 index) private view returns (uint256) {
        return (uint256(uint48(book.forest.headers[index])) << 64) | index;
    }

    /// The gas that must be left for one ticket more and for returning the page: the encoded page is about
    /// as large as the page in memory, which grows by as much, at 3 + words / 512 gas a word.
    function _reserve() private pure returns (uint256) {
        unchecked {
            uint256 words;
            assembly ("memory-safe") { words := shr(5, mload(0x40)) }
            return STEP_GAS + words * 200 + (3 * words * words) / 512;
        }
    }
}
