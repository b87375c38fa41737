"""Walking the chain of hashes: it is followed to its end, and a break is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import KEYS, as_json, chain, header

from steelyard.ledger import block
from steelyard.ledger.chain import BATCH, walk

FIRST = 10


class Chain:
    """A node that has these headers, with the first of them at block FIRST."""

    def __init__(self, headers) -> None:
        self.answers = [as_json(one) for one in headers]
        self.batches = []

    async def block_number(self):
        return FIRST + len(self.answers) - 1

    async def headers(self, numbers):
        self.batches.append(len(numbers))
        return [
            self.answers[number - FIRST] if number - FIRST < len(self.answers) else None
            for number in numbers
        ]


async def test_a_chain_is_walked_in_batches():
    """Every header once, in bounded exchanges, up to the head."""
    headers = chain(2 * BATCH + 7)
    node = Chain(headers)
    found = await walk(node, headers[0], None)
    assert (found.problem, found.last, found.head) == (None, FIRST + 2 * BATCH + 6, found.last)
    assert node.batches == [BATCH, BATCH, 6]
    assert found.top == headers[-1]
    assert found.seen == f"blocks {FIRST + 1} to {found.last}, the head"


@pytest.mark.parametrize(("most", "last"), [(0, 10), (1, 11), (3, 13), (99, 19)])
async def test_a_limit_is_kept(most, last):
    """No more blocks are asked for than allowed, and the phrase says where the head is."""
    headers = chain(10)
    node = Chain(headers)
    found = await walk(node, headers[0], most)
    assert found.last == last
    assert sum(node.batches) == last - FIRST
    if most == 3:
        assert found.seen == "blocks 11 to 13, the head is 19"


async def test_the_head_itself_needs_no_walk():
    """A receipt of the newest block has nothing behind it; a node behind it is a problem."""
    headers = chain(2)
    assert (await walk(Chain(headers[:1]), headers[0], None)).seen == "block 10 is the head"
    assert (await walk(Chain(headers[:1]), headers[1], None)).problem == "the head is block 10 only"


async def test_a_change_of_validators_is_noted():
    """Where the list of validators changes, the block is named; the chain goes on."""
    headers = chain(3, listed=KEYS[:4])
    parent = bytes.fromhex(block.hash_of_header(headers[-1])[2:])
    headers.append(header(FIRST + 3, parent, listed=KEYS[:5]))
    found = await walk(Chain(headers), headers[0], None)
    assert (found.problem, found.changed) == (None, FIRST + 3)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 5), st.data())
def test_any_altered_byte_breaks_the_chain(at, data):
    """A header with one digit changed, its said hash included, does not follow or is not itself."""
    import asyncio

    headers = chain(6)
    node = Chain(headers)
    answer = node.answers[at]
    name = data.draw(st.sampled_from(sorted(answer)))
    text = answer[name]
    place = data.draw(st.integers(2, len(text) - 1))
    digit = data.draw(st.sampled_from([one for one in "0123456789abcdef" if one != text[place]]))
    node.answers[at] = answer | {name: text[:place] + digit + text[place + 1 :]}
    found = asyncio.run(walk(node, headers[0], None))
    extra_only = name == "extraData" and block.header_hash(node.answers[at]) == answer["hash"]
    assert extra_only or found.problem is not None


@pytest.mark.parametrize("answer", [None, {}, {"number": 7}])
async def test_a_missing_block_is_named(answer):
    """A gap ends the walk with the block's number."""
    headers = chain(4)
    node = Chain(headers)
    node.answers[2] = answer
    found = await walk(node, headers[0], None)
    assert found.problem.startswith("block 12 ")
    assert found.last == 11
