"""The largest batch goes through on every engine; what is beyond a limit is refused by name."""

import json

import aiohttp
import pytest
from builders import ticket

from stations import AbreastLedger
from steelyard.ledger import contract
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.examination import Beside, examine
from steelyard.ledger.jsonrpc import JsonRpc, NodeError
from steelyard.ledger.node import Node
from steelyard.ledger.signer import address_of
from steelyard.ticket import MAX_CELLS, MAX_GRAMS, MIN_GRAMS, CellWeight, Ticket, TicketFilter

LARGEST_BATCH = 200  # the contract's limit
BODY_LIMIT = 5 * 1024 * 1024  # geth's, for one request


def largest(number: int) -> Ticket:
    """A ticket with the longest texts and the most cells, all of them new to the contract."""
    cells = tuple(
        CellWeight(serial=f"{number:03}{'c' * 27}{at:02}", weight=MIN_GRAMS + at)
        for at in range(MAX_CELLS)
    )
    return ticket(
        number,
        id=f"{number:03}".rjust(96, "i"),
        terminal_serial="T" * 32,
        scale_serial="S" * 32,
        status="new-status-1",
        vehicle="v" * 32,
        gross=MAX_GRAMS,
        tare=0,
        net=MAX_GRAMS,
        cells=cells,
    )


async def test_the_largest_batch_goes_through(
    tmp_path, session, settings, everyone, writer, customer_view
):
    """200 tickets of 32 cells are one transaction; they are repeated, proved, and exported."""
    ledger = AbreastLedger(session, settings.model_copy(update={"max_batch": LARGEST_BATCH}))
    ledger.everyone = everyone
    batch = [largest(number) for number in range(LARGEST_BATCH)]
    outcomes = await ledger.register(writer, batch)

    assert all(one.created for one in outcomes)
    (transaction_hash,) = {one.receipt.transaction_hash for one in outcomes}
    for view in (writer.view, customer_view):
        node = ledger.node(view)
        name = (await node.transaction(transaction_hash))["input"]
        assert contract.decode_registration(await node.payload(name)) == tuple(batch)
    again = await ledger.register(writer, batch)
    assert [one.receipt for one in again] == [one.receipt for one in outcomes]
    assert not any(one.created for one in again)
    assert (await ledger.verify(customer_view, outcomes[7].receipt, batch[7])).holds
    assert await ledger.count(customer_view, TicketFilter()) == LARGEST_BATCH
    path = tmp_path / "largest.ndjson"
    assert (await ledger.exporter(customer_view).export(path)).tickets == LARGEST_BATCH
    examined = await examine(path, beside=Beside(ledger.node(writer.view), writer.view))
    assert examined.total == LARGEST_BATCH


async def test_pages_of_the_largest_tickets_leave_none_out(
    session, settings, everyone, writer, customer_view
):
    """A call's gas may not hold 200 of them: such a page is shorter than asked for, and goes on."""
    ledger = AbreastLedger(session, settings.model_copy(update={"max_batch": LARGEST_BATCH}))
    ledger.everyone = everyone
    batch = [largest(number) for number in range(LARGEST_BATCH)]
    await ledger.register(writer, batch)
    found, cursor = [], 0
    while True:
        page = await ledger.page(customer_view, TicketFilter(), cursor=cursor, limit=500)
        found += [entry.ticket for entry in page.entries]
        if not page.next:
            break
        assert len(found) < LARGEST_BATCH
        cursor = page.next
    assert found == batch


async def test_a_larger_batch_is_refused_by_the_contract(ledger, writer):
    """201 tickets in one payload revert with the limit's name."""
    batch = [ticket(number, id=f"t-{number}") for number in range(LARGEST_BATCH + 1)]
    many = station_tickets().functions["registerMany"]
    node, payload = ledger.node(writer.view), many.encode([*map(contract.ticket_words, batch)])
    with pytest.raises(NodeError) as caught:
        await node.call(writer.view.address, payload, address_of(writer.key))
    revert = contract.decode_revert(caught.value.data)
    assert (revert.name, revert.arguments) == ("BatchTooLarge", (LARGEST_BATCH + 1, LARGEST_BATCH))


@pytest.mark.parametrize("beyond", [0, 1])
async def test_a_request_has_a_largest_size(session, client, beyond):
    """Five MiB are read; one byte more is refused before the body is."""
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).encode()
    body = call.ljust(BODY_LIMIT + beyond)
    headers = {"Content-Type": "application/json"}
    async with session.post(client.nodes[0]["rpc_url"], data=body, headers=headers) as response:
        text = await response.text()
        if beyond:
            assert response.status == 413
            assert text == f"content length too large ({BODY_LIMIT + 1}>{BODY_LIMIT})\n"
        else:
            assert response.status == 200
            assert json.loads(text)["result"] == "0x539"


async def test_a_request_beyond_it_is_a_node_that_does_not_answer(engine):
    """Our client tells it as such, says nothing of the content, and goes on with the next call."""
    async with aiohttp.ClientSession() as session:
        ref = engine.nodes[0]
        node = Node(JsonRpc(session, ref.rpc_url, ref.name, 30), ref.name)
        for _ in range(3):
            with pytest.raises(NodeUnavailable) as caught:
                await node.call("0x" + 40 * "1", b"secret" * (BODY_LIMIT // 10))
            assert "736563726574" not in str(caught.value)
            assert await node.block_number() >= 0
