"""Reading: pages are what the reference filter lets pass, wherever the cursor stands."""

import asyncio
from dataclasses import replace

import pytest
from builders import ticket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ledger import contract
from steelyard.ledger.errors import ContractMissing, LedgerProblem
from steelyard.ledger.jsonrpc import JsonRpc
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractWriter
from steelyard.ticket import CellWeight, TicketFilter

# Few values of each attribute, so that filters hit, and times that repeat.
STOCK = [
    ticket(
        number,
        id=f"s-{number}",
        timestamp=1000 * (number * 7 % 11),
        scale_serial=f"bridge-{number % 3}",
        terminal_serial=f"T-{number % 2}",
        terminal_restart=number % 4,
        status=("stable", "unstable")[number % 5 == 0],
        vehicle=(None, "AA-11", "46-ÁB-12")[number % 3],
        gross=1000 * number,
        tare=3000,
        net=1000 * number - 3000,
        cells=tuple(
            CellWeight(serial=f"cell-{at}", weight=100 * number - 50 * at)
            for at in range(1 + number % 4)
        ),
    )
    for number in range(24)
]
BY_KEY = sorted(enumerate(STOCK, 1), key=lambda pair: (pair[1].timestamp, pair[0]))


def values(*some):
    return st.none() | st.sampled_from(some)


filters = st.builds(
    dict,
    id=values("s-3", "s-99"),
    terminal_serial=values("T-0", "T-1"),
    restart_from=values(0, 1, 2),
    restart_to=values(1, 3),
    timestamp_from=values(0, 1000, 4000),
    timestamp_to=values(4000, 10_000),
    scale_serial=values("bridge-0", "bridge-1"),
    status=values("stable", "unstable"),
    vehicle=values("AA-11", "46-ÁB-12"),
    gross_from=values(0, 5000),
    gross_to=values(5000, 20_000),
    tare_from=values(3000),
    net_from=values(-3000, 0),
    net_to=values(0, 10_000),
    cell_serial=values("cell-0", "cell-3"),
    cell_weight_from=values(-100, 0, 500),
    cell_weight_to=values(500, 2000),
).flatmap(
    # Mostly a few members at once, or nothing would pass.
    lambda drawn: st.sets(st.sampled_from(sorted(drawn)), max_size=4).map(
        lambda names: TicketFilter(**{name: drawn[name] for name in names})
    )
)


async def every_page(ledger, view, wanted, limit, *, newest_first=False):
    found, cursor = [], 0
    while True:
        page = await ledger.page(
            view, wanted, cursor=cursor, limit=limit, newest_first=newest_first
        )
        assert len(page.entries) <= limit
        found += page.entries
        if page.next == 0:
            return found
        assert page.next != cursor
        cursor = page.next


async def test_pages_are_what_the_filter_lets_pass(engine, ledger, writer, customer_view):
    """Any filter, page size and direction gives the reference's tickets in the order of keys."""
    await ledger.register(writer, STOCK)
    loop_runs = []

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(filters, st.integers(1, 30), st.booleans())
    def collect(wanted, limit, newest_first):
        loop_runs.append((wanted, limit, newest_first))

    collect()
    for wanted, limit, newest_first in loop_runs:
        expected = [(index, one) for index, one in BY_KEY if wanted.matches(one)]
        if newest_first:
            expected.reverse()
        found = await every_page(ledger, customer_view, wanted, limit, newest_first=newest_first)
        assert [(entry.index, entry.ticket) for entry in found] == expected, wanted
        assert await ledger.count(customer_view, wanted) == len(expected)
    hits = sum(any(wanted.matches(one) for one in STOCK) for wanted, _, _ in loop_runs)
    assert hits > len(loop_runs) // 4


async def test_a_cursor_can_be_made_from_any_entry(ledger, writer):
    """Going on from an entry's key gives what comes strictly after it, both ways."""
    await ledger.register(writer, STOCK)
    entries = await every_page(ledger, writer.view, TicketFilter(), 50)
    keys = [entry.key for entry in entries]
    assert keys == sorted(keys)
    for at in (0, 7, len(entries) - 1):
        after = await ledger.page(writer.view, TicketFilter(), cursor=keys[at], limit=50)
        before = await ledger.page(
            writer.view, TicketFilter(), cursor=keys[at], limit=50, newest_first=True
        )
        assert list(after.entries) == entries[at + 1 :]
        assert list(before.entries) == entries[:at][::-1]


async def test_nothing_unknown_is_found(ledger, writer):
    """An id that was never registered has neither entry nor receipt."""
    assert await ledger.get(writer.view, "never") is None
    assert await ledger.receipt(writer.view, "never") is None
    page = await ledger.page(writer.view, TicketFilter(id="never"))
    assert page.entries == ()
    assert page.next == 0


@pytest.mark.parametrize("limit", [0, 1_000_000])
async def test_a_page_size_out_of_range_is_named(limit, ledger, writer):
    """The contract's refusal of a page size says what is allowed."""
    with pytest.raises(LedgerProblem, match="1 to"):
        await ledger.page(writer.view, TicketFilter(), limit=limit)


async def test_receipts_lead_back_to_each_transaction(ledger, writer, customer_view):
    """Tickets of several transactions, some in one block, find their own transaction again."""
    batches = [STOCK[start : start + 3] for start in range(0, 24, 3)]
    results = await asyncio.gather(*(ledger.register(writer, one) for one in batches))
    expected = {one.ticket_id: one.receipt for outcomes in results for one in outcomes}
    assert len({one.transaction_hash for one in expected.values()}) == len(batches)
    assert len({one.block_number for one in expected.values()}) < len(batches)
    for ticket_id, receipt in expected.items():
        assert await ledger.receipt(customer_view, ticket_id) == receipt


async def test_a_strange_node_sees_no_contract(ledger, writer, stranger_view):
    """Every question at a node that is no party finds no contract, for known ids and others."""
    await ledger.register(writer, [ticket(1)])
    for question in (
        ledger.get(stranger_view, ticket(1).id),
        ledger.get(stranger_view, "never"),
        ledger.receipt(stranger_view, ticket(1).id),
        ledger.count(stranger_view, TicketFilter()),
        ledger.page(stranger_view, TicketFilter()),
        ledger.register(ContractWriter(stranger_view, writer.key, writer.parties), [ticket(2)]),
    ):
        with pytest.raises(ContractMissing):
            await question


async def test_a_strange_node_sees_a_transaction_and_nothing_of_it(
    session, ledger, writer, stranger_view, customer_view
):
    """At the wire: no code, no call, no logs, no payload; of the transaction only a hash."""

    def node(view):
        return Node(JsonRpc(session, view.node.rpc_url, view.node.name, 10), view.node.name)

    secret = ticket(1, vehicle="SECRET-1")
    (outcome,) = await ledger.register(writer, [secret])
    receipt = outcome.receipt
    stranger, party = node(stranger_view), node(customer_view)
    while await stranger.block_number() < receipt.block_number:
        pass
    address = writer.view.address
    transaction = await stranger.transaction(receipt.transaction_hash)
    digest = transaction["input"]

    assert len(digest) == 2 + 2 * 64
    assert await stranger.code(address) == b""
    assert await party.code(address) != b""
    assert await stranger.call(address, contract.encode_get(secret.id)) == b""
    assert await stranger.registered_in(address, receipt.block_number) == ()
    assert len(await party.registered_in(address, receipt.block_number)) == 1
    assert await stranger.payload(digest) == b""
    assert await party.payload(digest) == contract.encode_registration([secret])
    mined = await stranger.mined(receipt.transaction_hash)
    assert mined.logs == ()
    everything = str([transaction, mined, await stranger.block(receipt.block_number)])
    for word in (secret.id, secret.vehicle, secret.scale_serial, secret.terminal_serial):
        assert word.encode().hex() not in everything
        assert word not in everything


async def test_reading_needs_no_privacy_manager(ledger, writer, customer_view):
    """A party whose privacy manager is down still answers from its state."""
    await ledger.register(writer, [ticket(1)])
    lame = replace(customer_view.node, tessera_url="http://127.0.0.1:9")
    entry = await ledger.get(replace(customer_view, node=lame), ticket(1).id)
    assert entry.ticket == ticket(1)
