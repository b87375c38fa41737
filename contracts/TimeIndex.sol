// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Tickets in the order of (timestamp, index), with their ranks
/// @notice A forest of counted tries: one tree over all tickets, and one a weighbridge. A node stands
/// for the 2**span milliseconds that share a prefix of the timestamp; the root's span is 48. A node
/// with at most LEAF tickets is a leaf: a sorted list of 32-bit references, 8 a word. A fuller one is
/// inner: one word with the counts of its 8 children (so a child's kind needs no mark, for nothing is
/// ever removed). At span 0 the list is unbounded: those tickets share the millisecond, so a later one
/// belongs at the end and nothing is ever shifted. Whatever the timestamps are, a look-up reads at
/// most 16 inner words and one binary search in a leaf, an insertion writes at most 16 counts and 8
/// words of a leaf, and rarely splits one leaf.
library TimeIndex {
    uint256 internal constant LEAF = 64;
    uint256 internal constant ROOT_SPAN = 48;
    uint256 private constant TIMESTAMP = (1 << 48) - 1;

    /// `sizes`: tickets a tree. `counts`: the children's counts of an inner node, 32 bits each.
    /// `lists`: the references of a leaf. `headers`: by reference, a word whose low 48 bits are the timestamp.
    struct Forest {
        mapping(uint256 tree => uint256 size) sizes;
        mapping(uint256 node => uint256 counts) counts;
        mapping(uint256 nodeAndWord => uint256 references) lists;
        mapping(uint256 ref => uint256 header) headers;
    }

    /// A way through the ranks from `low` (inclusive) to `high` (exclusive), from either end.
    /// `left` tells how many references of the leaf `node` are still ahead, the next at `position`.
    struct Walk {
        uint256 tree;
        uint256 low;
        uint256 high;
        bool down;
        uint256 node;
        uint256 position;
        uint256 left;
        uint256 word;
    }

    /// @notice Adds a reference, greater than all before it, whose header is written already.
    function insert(Forest storage self, uint256 tree, uint256 timestamp, uint256 ref) internal {
        unchecked {
            uint256 count = self.sizes[tree];
            self.sizes[tree] = count + 1;
            uint256 span = ROOT_SPAN;
            while (true) {
                uint256 node = _node(tree, span, timestamp);
                if (span == 0) return _insertAt(self, node, count, count, ref);
                if (count < LEAF) return _insertAt(self, node, count, _place(self, node, count, timestamp), ref);
                if (count == LEAF) return _split(self, tree, span, timestamp, ref);
                span -= 3;
                uint256 shift = _lane(timestamp, span);
                uint256 counts = self.counts[node];
                self.counts[node] = counts + (1 << shift);
                count = uint32(counts >> shift);
            }
        }
    }

    /// @notice How many tickets of the tree come before (timestamp, ref).
    function rank(Forest storage self, uint256 tree, uint256 timestamp, uint256 ref)
        internal
        view
        returns (uint256 before)
    {
        unchecked {
            uint256 count = self.sizes[tree];
            if (timestamp > TIMESTAMP) return count;
            uint256 span = ROOT_SPAN;
            while (span != 0 && count > LEAF) {
                uint256 counts = self.counts[_node(tree, span, timestamp)];
                span -= 3;
                uint256 shift = _lane(timestamp, span);
                for (uint256 lane; lane < shift; lane += 32) before += uint32(counts >> lane);
                count = uint32(counts >> shift);
            }
            uint256 node = _node(tree, span, timestamp);
            uint256 low;
            while (low < count) {
                uint256 middle = (low + count) >> 1;
                uint256 other = _at(self, node, middle);
                uint256 time = self.headers[other] & TIMESTAMP;
                if (time < timestamp || (time == timestamp && other < ref)) low = middle + 1;
                else count = middle;
            }
            before += low;
        }
    }

    /// @notice The next reference of a walk that has not ended (low < high).
    function step(Forest storage self, Walk memory walk) internal view returns (uint256 ref) {
        unchecked {
            if (walk.left == 0) _enter(self, walk);
            uint256 position = walk.position;
            ref = uint32(walk.word >> ((position & 7) << 5));
            --walk.left;
            if (walk.down) --walk.high;
            else ++walk.low;
            if (walk.left == 0) return ref;
            uint256 ahead = walk.down ? position - 1 : position + 1;
            if ((ahead ^ position) >> 3 != 0) walk.word = self.lists[_word(walk.node, ahead)];
            walk.position = ahead;
        }
    }

    /// Goes to the leaf that holds the walk's next rank.
    function _enter(Forest storage self, Walk memory walk) private view {
        unchecked {
            uint256 position = walk.down ? walk.high - 1 : walk.low;
            uint256 count = self.sizes[walk.tree];
            uint256 span = ROOT_SPAN;
            uint256 prefix;
            while (span != 0 && count > LEAF) {
                uint256 counts = self.counts[_node(walk.tree, span, prefix << span)];
                span -= 3;
                prefix <<= 3;
                while (position >= (count = uint32(counts))) {
                    position -= count;
                    counts >>= 32;
                    ++prefix;
                }
            }
            walk.node = _node(walk.tree, span, prefix << span);
            walk.position = position;
            walk.left = walk.down ? position + 1 : count - position;
            walk.word = self.lists[_word(walk.node, position)];
        }
    }

    /// Where a new ticket belongs in a leaf: behind all with its timestamp or an earlier one.
    function _place(Forest storage self, uint256 node, uint256 count, uint256 timestamp)
        private
        view
        returns (uint256 low)
    {
        unchecked {
            // Tickets mostly come in the order of time.
            if (count == 0 || self.headers[_at(self, node, count - 1)] & TIMESTAMP <= timestamp) return count;
            uint256 high = count - 1;
            while (low < high) {
                uint256 middle = (low + high) >> 1;
                if (self.headers[_at(self, node, middle)] & TIMESTAMP <= timestamp) low = middle + 1;
                else high = middle;
            }
        }
    }

    /// Puts a reference into a list at `position` and shifts what follows.
    function _insertAt(Forest storage self, uint256 node, uint256 count, uint256 position, uint256 ref) private {
        unchecked {
            uint256 shift = (position & 7) << 5;
            for (uint256 at = position & ~uint256(7); at <= count; at += 8) {
                uint256 slot = _word(node, at);
                uint256 word = self.lists[slot];
                uint256 kept = word & ((1 << shift) - 1);
                self.lists[slot] = kept | (ref << shift) | ((word >> shift) << (shift + 32));
                ref = word >> 224;
                shift = 0;
            }
        }
    }

    /// Turns a full leaf with one ticket more into inner nodes and smaller leaves.
    function _split(Forest storage self, uint256 tree, uint256 span, uint256 timestamp, uint256 ref) private {
        unchecked {
            uint256[] memory keys = _unload(self, _node(tree, span, timestamp), timestamp, ref);
            while (span != 0) {
                uint256 node = _node(tree, span, timestamp);
                span -= 3;
                uint256 counts;
                for (uint256 i; i < keys.length; ++i) counts += 1 << _lane(keys[i] >> 32, span);
                self.counts[node] = counts;
                // While all of them share the child as well, it is an inner node too.
                if (counts != keys.length << _lane(timestamp, span)) break;
            }
            _fill(self, tree, span, keys);
        }
    }

    /// The keys (timestamp << 32 | ref) of a full leaf and a new ticket, sorted; the leaf is emptied.
    function _unload(Forest storage self, uint256 node, uint256 timestamp, uint256 ref)
        private
        returns (uint256[] memory keys)
    {
        unchecked {
            keys = new uint256[](LEAF + 1);
            uint256 place = _place(self, node, LEAF, timestamp);
            keys[place] = (timestamp << 32) | ref;
            for (uint256 i; i < LEAF; ++i) {
                uint256 other = _at(self, node, i);
                keys[i < place ? i : i + 1] = ((self.headers[other] & TIMESTAMP) << 32) | other;
            }
            for (uint256 i; i < LEAF; i += 8) delete self.lists[_word(node, i)];
        }
    }

    /// Writes sorted keys to the leaves of one span that they belong to.
    function _fill(Forest storage self, uint256 tree, uint256 span, uint256[] memory keys) private {
        unchecked {
            uint256 position;
            uint256 word;
            for (uint256 i; i < keys.length; ++i) {
                uint256 time = keys[i] >> 32;
                word |= uint256(uint32(keys[i])) << ((position & 7) << 5);
                bool last = i + 1 == keys.length || keys[i + 1] >> (32 + span) != time >> span;
                if (last || position & 7 == 7) {
                    self.lists[_word(_node(tree, span, time), position)] = word;
                    word = 0;
                }
                position = last ? 0 : position + 1;
            }
        }
    }

    /// The node of a tree with this span that a time falls into.
    function _node(uint256 tree, uint256 span, uint256 time) private pure returns (uint256) {
        return (tree << 64) | (span << 56) | (time >> span);
    }

    /// The storage key of the word of a list that holds `position`.
    function _word(uint256 node, uint256 position) private pure returns (uint256) {
        return (node << 32) | (position >> 3);
    }

    /// The bit at which the count of a time's child begins, the child having this span.
    function _lane(uint256 time, uint256 span) private pure returns (uint256) {
        return ((time >> span) & 7) << 5;
    }

    function _at(Forest storage self, uint256 node, uint256 position) private view returns (uint256) {
        return uint32(self.lists[_word(node, position)] >> ((position & 7) << 5));
    }
}
