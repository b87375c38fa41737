"""A node dies in the middle of 500 transactions: each of their tickets is registered once."""

import asyncio
from dataclasses import replace

import pytest
from breaking import Outages
from builders import ticket, tickets

from stations import Engine
from steelyard.ledger.errors import NodeUnavailable, PrivacyManagerUnavailable
from steelyard.ledger.jsonrpc import JsonRpc
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractView, ContractWriter, Entry, Registration
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.signer import address_of
from steelyard.ticket import Receipt, Ticket, TicketFilter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ANYTHING = TicketFilter()
EACH = 250  # tickets of one station: as many as may wait for a block
SETTINGS = LedgerSettings(  # 500 callers at once wait for each other, on whatever machine
    max_in_flight=EACH,
    request_timeout=120,
    privacy_manager_timeout=120,
    send_timeout=120,
    recovery_timeout=120,
    confirm_timeout=300,
    stall_after=3,
)


class Rush:
    """Two stations of one node, each with 250 single tickets on their way."""

    def __init__(self, session, engine: Engine, writers: list[ContractWriter]) -> None:
        self.engine = engine
        self.writers = writers
        self.ledger = QuorumLedger(session, SETTINGS)
        self.batches = [tickets(EACH, f"station-{at}") for at in range(len(writers))]
        self._node, self._customer = (
            Node(JsonRpc(session, one.rpc_url, one.name, 30), one.name) for one in engine.nodes[:2]
        )
        self._callers: list[asyncio.Task[list[Registration]]] = []

    def start(self) -> None:
        """Let all of them be registered, each by a call of its own."""
        self._callers = [
            asyncio.create_task(self.ledger.register(writer, [one]))
            for writer, batch in zip(self.writers, self.batches, strict=True)
            for one in batch
        ]

    async def until_all_wait(self) -> None:
        """Wait until the node has taken 500; that no block comes is the test's business."""
        before = [await self._used(writer, "latest") for writer in self.writers]
        for writer, used in zip(self.writers, before, strict=True):
            while await self._used(writer, "pending") < used + EACH:
                assert not any(caller.done() for caller in self._callers)
                await asyncio.sleep(0.1)

    async def until_some_are_registered(self) -> None:
        """Wait until the customer has a hundred, while the others are on their way."""
        views = [replace(one.view, node=self.engine.nodes[1]) for one in self.writers]
        registered = 0
        while registered < 100:
            await asyncio.sleep(0.01)
            registered = sum([await self.ledger.count(one, ANYTHING) for one in views])
        assert not all(caller.done() for caller in self._callers)

    async def _used(self, writer: ContractWriter, block: str) -> int:
        return await self._node.transaction_count(address_of(writer.key), block)

    async def check(self, returning: int = 0) -> None:
        """Every call that returned has a right receipt; both parties hold each ticket once.

        Who was told that the node is away comes again, as the platform's callers do. At least
        `returning` calls must come to their end.
        """
        results = await asyncio.gather(*self._callers, return_exceptions=True)
        assert len(list(filter(_returned, results))) >= returning
        receipts = {one.ticket_id: one.receipt for (one,) in filter(_returned, results)}
        for writer, batch in zip(self.writers, self.batches, strict=True):
            again = await self.ledger.register(writer, batch)
            receipts = {one.ticket_id: one.receipt for one in again} | receipts
            await self._until_the_customer_has_the_head()
            views = [replace(writer.view, node=node) for node in self.engine.nodes[:2]]
            at_station, at_customer = [await self._entries(view) for view in views]
            assert at_station == at_customer
            assert sorted(one.index for one in at_station) == list(range(1, EACH + 1))
            found = {one.ticket.id: one.ticket for one in at_station}
            assert found == {one.id: one for one in batch}
            on_chain = await self._receipts(views[1], batch)
            assert on_chain == {one.id: receipts[one.id] for one in batch}
            (last,) = await self.ledger.register(writer, [ticket(0, id="last")])
            assert last.created, "no gap is left behind"

    async def _until_the_customer_has_the_head(self) -> None:
        """A receipt is the station's node's; another node may have the block a moment later."""
        head = await self._node.block_number()
        while await self._customer.block_number() < head:  # noqa: ASYNC110 - it is asked for
            await asyncio.sleep(0.01)

    async def _entries(self, view: ContractView) -> list[Entry]:
        page = await self.ledger.page(view, ANYTHING, limit=500)
        entries = list(page.entries)
        while page.next:
            page = await self.ledger.page(view, ANYTHING, cursor=page.next, limit=500)
            entries += page.entries
        return entries

    async def _receipts(self, view: ContractView, batch: list[Ticket]) -> dict[str, Receipt | None]:
        found = await asyncio.gather(*(self.ledger.receipt(view, one.id) for one in batch))
        return {one.id: receipt for one, receipt in zip(batch, found, strict=True)}


def _returned(result: object) -> bool:
    """Whether a call came to its end; the problem of another is that of an engine that is away."""
    if isinstance(result, BaseException):
        assert isinstance(result, NodeUnavailable | PrivacyManagerUnavailable), result
        return False
    return True


@pytest.fixture
async def rush(session, engine, own_writer, sister_writer):
    made = Rush(session, engine, [own_writer, sister_writer])
    yield made
    await made.ledger.close()


@pytest.mark.parametrize("journal", ["kept", "lost"])
async def test_a_node_is_killed_while_500_wait(rush: Rush, outages: Outages, journal: str) -> None:
    """They wait on in its journal, or are handed over again as they were when that is gone."""
    await outages.halt()
    rush.start()
    await rush.until_all_wait()
    await outages.kill_node("node-1", lose_pool=journal == "lost")
    await outages.resume()
    await outages.start("node-1")
    await rush.check(returning=2 * EACH)


async def test_a_node_is_killed_while_500_are_on_their_way(rush: Rush, outages: Outages) -> None:
    """Some are in blocks, some wait, some were not handed over, and a few are being so."""
    rush.start()
    await rush.until_some_are_registered()
    await outages.kill_node("node-1")
    await outages.start("node-1")
    await rush.check()
