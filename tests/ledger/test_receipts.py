"""Waiting for blocks: one look for all, and none lost."""

import asyncio

import pytest
from builders import until

from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.node import Mined
from steelyard.ledger.receipts import Receipts


class Chain:
    """A node as far as `Receipts` asks it; `receipts` are those of the blocks up to `head`."""

    def __init__(self) -> None:
        self.head = 1
        self.receipts: dict[str, Mined] = {}
        self.down = False
        self.heads = 0
        self.looks: list[list[str]] = []

    def mine(self, *names: str) -> None:
        self.head += 1
        for name in names:
            self.receipts[name] = Mined(name, self.head, True, None, ())

    async def block_number(self) -> int:
        self.heads += 1
        if self.down:
            raise NodeUnavailable("down")
        return self.head

    async def mined_many(self, hashes) -> list[Mined | None]:
        self.looks.append(list(hashes))
        return [self.receipts.get(one) for one in hashes]


@pytest.fixture
async def chain():
    return Chain()


@pytest.fixture
async def receipts(chain):
    one = Receipts(chain, 0.001)
    yield one
    await one.close()


async def looked(chain: Chain, more: int = 5) -> None:
    """Until the node was asked for its head a few times more."""
    target = chain.heads + more
    await until(lambda: chain.heads >= target)


async def test_many_wait_with_one_look_a_block(chain, receipts):
    """While the head stands nothing but the head is asked for; then all receipts at once."""
    names = [f"t{n}" for n in range(250)]
    waits = [asyncio.create_task(receipts.wait(name, 30)) for name in names]
    await looked(chain)
    before = len(chain.looks)
    await looked(chain)
    assert len(chain.looks) == before
    chain.mine(*names)
    found = await asyncio.gather(*waits)
    assert [one.transaction_hash for one in found] == names
    assert [len(look) for look in chain.looks[before:]] == [100, 100, 50]


async def test_a_receipt_of_an_older_block_is_found(chain, receipts):
    """A transaction may be mined before somebody waits for it, and no block come after."""
    other = asyncio.create_task(receipts.wait("other", 30))
    await looked(chain)
    chain.mine("old")
    await looked(chain)
    assert (await receipts.wait("old", 30)).block_number == 2
    chain.mine("other")
    assert await other


async def test_a_node_that_is_away_is_waited_for(chain, receipts):
    """Its silence is no answer; what it has mined meanwhile is found."""
    chain.down = True
    waits = asyncio.create_task(receipts.wait("t", 30))
    await looked(chain)
    chain.mine("t")
    await looked(chain)
    assert not waits.done()
    chain.down = False
    assert (await waits).transaction_hash == "t"


async def test_patience_ends_and_can_begin_again(chain, receipts):
    """None after the time; the next wait goes on, and nothing is asked when nobody waits."""
    assert await receipts.wait("t", 0.01) is None
    chain.mine("t")
    assert await receipts.wait("t", 30)
    await asyncio.sleep(0.01)
    asked = chain.heads
    await asyncio.sleep(0.01)
    assert chain.heads == asked


async def test_who_is_forgotten_is_not_asked_for(chain, receipts):
    """A waiter that gave up costs no look."""
    assert await receipts.wait("gone", 0.005) is None
    receipts.forget("gone")
    waits = asyncio.create_task(receipts.wait("stays", 30))
    await looked(chain)
    chain.mine("stays")
    await waits
    assert all("gone" not in look for look in chain.looks[-1:])


async def test_another_transactions_receipt_is_none(chain, receipts):
    """A node that mixes up its answers gives nobody a receipt that is another's."""
    chain.mine("other")
    chain.receipts["mine"] = chain.receipts["other"]
    assert await receipts.wait("mine", 0.05) is None
    chain.mine("mine")
    assert (await receipts.wait("mine", 30)).transaction_hash == "mine"
