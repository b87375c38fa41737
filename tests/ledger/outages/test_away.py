"""A privacy manager, a node or the chain is away while tickets are sent: named, and none twice."""

import asyncio

import pytest
from breaking import Outages
from builders import ticket, tickets, until
from faultproxy import FaultProxy

from steelyard.ledger.errors import (
    NodeUnavailable,
    PartyUnreachable,
    PrivacyManagerUnavailable,
    TransactionPending,
)
from steelyard.ledger.jsonrpc import JsonRpc
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractView, ContractWriter
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.signer import address_of
from steelyard.ticket import Ticket, TicketFilter

pytestmark = [pytest.mark.slow]
ANYTHING = TicketFilter()
SEND = "eth_sendRawPrivateTransaction"
RECEIPT = "eth_getTransactionReceipt"


async def counts(session, writer: ContractWriter) -> tuple[int, int]:
    """The key's transactions in blocks, and with those that wait."""
    ref = writer.view.node
    node = Node(JsonRpc(session, ref.rpc_url, ref.name, 10), ref.name)
    address = address_of(writer.key)
    latest = await node.transaction_count(address, "latest")
    return latest, await node.transaction_count(address, "pending")


async def seen(ledger: QuorumLedger, view: ContractView, ticket_id: str) -> Ticket:
    """The ticket as a party's node has it, which may be some blocks behind when it comes back."""
    async with asyncio.timeout(60):
        while (entry := await ledger.get(view, ticket_id)) is None:  # noqa: ASYNC110 - it is asked for
            await asyncio.sleep(0.1)
    return entry.ticket


async def test_a_partys_privacy_manager_is_away(
    session, ledger, writer, customer_view, outages: Outages
):
    """Nothing is registered that the customer would not get, no nonce is used, and later it goes.

    First the customer's manager is found to be offline, from then on nobody holds its key.
    """
    before = await counts(session, writer)
    await outages.kill_manager("node-2")
    for _ in range(3):
        with pytest.raises(PartyUnreachable):
            await ledger.register(writer, [ticket()])
    assert await counts(session, writer) == before
    assert await ledger.count(writer.view, ANYTHING) == 0
    await outages.start("node-2")
    (outcome,) = await ledger.register(writer, [ticket()])
    assert outcome.created
    assert await counts(session, writer) == (before[0] + 1, before[1] + 1)
    assert await seen(ledger, customer_view, ticket().id) == ticket()


async def test_a_partys_privacy_manager_dies_while_tickets_are_sent(
    ledger, writer, customer_view, outages: Outages
):
    """Every ticket is with both parties, or with none and its caller was told."""
    batch = tickets(40)
    callers = [asyncio.create_task(ledger.register(writer, [one])) for one in batch]
    await until(lambda: any(caller.done() for caller in callers))
    await outages.kill_manager("node-2")
    results = await asyncio.gather(*callers, return_exceptions=True)
    told = [one for one in results if isinstance(one, BaseException)]
    assert all(isinstance(one, PrivacyManagerUnavailable) for one in told), told
    await outages.start("node-2")

    again = await ledger.register(writer, batch)
    assert all(one.receipt for one in again)
    assert sum(one.created for one in again) == len(told)
    for one in batch:
        await seen(ledger, customer_view, one.id)
    pages = [await ledger.page(one, ANYTHING, limit=100) for one in (writer.view, customer_view)]
    assert pages[0] == pages[1]
    assert sorted(one.ticket.id for one in pages[0].entries) == sorted(one.id for one in batch)


async def test_ones_own_privacy_manager_is_away_before_the_payload(
    session, ledger, writer, outages: Outages
):
    """It is named, the node goes on, and no nonce is used."""
    before = await counts(session, writer)
    await outages.kill_manager("node-1")
    with pytest.raises(PrivacyManagerUnavailable):
        await ledger.register(writer, [ticket()])
    assert await counts(session, writer) == before
    health = await ledger.health(writer.view.node)
    assert (health.node_up, health.privacy_manager_up) == (True, False)
    await outages.start("node-1")
    assert (await ledger.register(writer, [ticket()]))[0].created


async def test_ones_own_privacy_manager_is_away_when_it_is_to_distribute(
    ledger, proxied, proxy: FaultProxy, customer_view, outages: Outages
):
    """The node ends over it: the caller is told, and a repeat registers once."""
    gate = proxy.hold(SEND)
    caller = asyncio.create_task(ledger.register(proxied, [ticket()]))
    await until(lambda: proxy.calls(SEND))
    await outages.kill_manager("node-1")
    gate.set()
    with pytest.raises(NodeUnavailable):
        await caller
    assert not (await ledger.health(proxied.view.node)).node_up
    await outages.start("node-1")
    (outcome,) = await ledger.register(proxied, [ticket()])
    assert outcome.receipt
    await seen(ledger, customer_view, ticket().id)
    assert await ledger.count(customer_view, ANYTHING) == 1


async def test_no_block_in_time_is_pending(session, settings, writer, outages: Outages):
    """The chain stands still: the caller is told, and a repeat registers once."""
    quick = settings.model_copy(update={"confirm_timeout": 0.3})
    await outages.halt()
    with pytest.raises(TransactionPending):
        await QuorumLedger(session, quick).register(writer, [ticket()])
    assert await counts(session, writer) == (1, 2)
    await outages.resume()

    ledger = QuorumLedger(session, settings)
    (outcome,) = await ledger.register(writer, [ticket()])
    assert outcome.receipt
    assert await ledger.count(writer.view, ANYTHING) == 1


async def test_a_node_dies_while_a_block_is_waited_for(
    session, settings, proxied, proxy: FaultProxy, customer_view, outages: Outages
):
    """The wait goes on when the node is back."""
    ledger = QuorumLedger(session, settings)
    await outages.halt()
    caller = asyncio.create_task(ledger.register(proxied, [ticket()]))
    await until(lambda: proxy.calls(RECEIPT))
    await outages.kill_node("node-1")
    await outages.resume()
    await outages.start("node-1")
    (outcome,) = await caller
    assert outcome.created
    assert await seen(ledger, customer_view, ticket().id) == ticket()
    await ledger.close()
