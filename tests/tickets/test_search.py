"""A search over several stations gives every ticket once, in order, however the pages fall."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import FakeContract, FakeLedger
from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.protocol import ContractView, Entry, NodeRef
from steelyard.ticket import CellWeight, Ticket, TicketFilter
from steelyard.tickets.cursor import Place
from steelyard.tickets.search import SearchLimits, Source, TicketSearch
from steelyard.web.errors import BadCursor

NODE = NodeRef("admin", "http://127.0.0.1:1", "http://127.0.0.1:2", "admin-key")


def ticket(number: int, timestamp: int, gross: int) -> Ticket:
    return Ticket(
        id=f"t{number}",
        terminal_serial="T1",
        terminal_restart=1,
        timestamp=timestamp,
        scale_serial="W1",
        status="ok",
        gross=gross,
        tare=0,
        net=gross,
        cells=(CellWeight(serial="L1", weight=gross),),
    )


def ledger_of(stations: list[list[tuple[int, int]]], scan: int) -> tuple[FakeLedger, list[Source]]:
    """A ledger whose stations hold tickets of (timestamp, gross), in that order of registration."""
    ledger = FakeLedger(scan=scan)
    sources = []
    number = 0
    for position, rows in enumerate(stations):
        entries = []
        for index, (timestamp, gross) in enumerate(rows, start=1):
            number += 1
            entries.append(Entry(ticket(number, timestamp, gross), index, 1))
        address = f"0x{position:040x}"
        ledger.contracts[address] = FakeContract({NODE.tessera_key}, entries)
        sources.append(
            Source(f"station{position}", f"Station {position}", ContractView(address, NODE))
        )
    return ledger, sources


async def collect(
    search: TicketSearch, sources: list[Source], wanted: TicketFilter, limit: int, newest: bool
) -> list[Place]:
    """Page through to the end, each time by the cursor's text, as a client does."""
    places: list[Place] = []
    after: Place | None = None
    while True:
        page = await search.page(sources, wanted, after=after, limit=limit, newest_first=newest)
        assert len(page.found) <= limit
        places += [found.place for found in page.found]
        if page.next is None:
            return places
        text = page.next.encode(newest_first=newest)
        following = Place.decode(text, newest_first=newest)
        assert following == page.next
        if after is not None:
            assert following < after if newest else following > after, "every page gets on"
        after = following


rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    stations=st.lists(rows, max_size=4),
    scan=st.integers(1, 5),
    rounds=st.integers(1, 3),
    limit=st.integers(1, 7),
    newest=st.booleans(),
    gross=st.none() | st.integers(0, 3),
)
def test_every_ticket_comes_once_and_in_order(
    stations: list[list[tuple[int, int]]],
    scan: int,
    rounds: int,
    limit: int,
    newest: bool,
    gross: int | None,
) -> None:
    """Equal times, empty stations, short scans and small pages change nothing of the result."""
    ledger, sources = ledger_of(stations, scan)
    wanted = TicketFilter(gross_from=gross, gross_to=gross)
    search = TicketSearch(ledger, SearchLimits(rounds=rounds, contract_page=3))
    places = asyncio.run(collect(search, sources, wanted, limit, newest))
    expected = sorted(
        (
            Place(entry.ticket.timestamp, source.station_id, entry.index)
            for source in sources
            for entry in ledger.contracts[source.view.address].entries
            if wanted.matches(entry.ticket)
        ),
        reverse=newest,
    )
    assert places == expected


async def test_all_and_count_agree() -> None:
    """An export has as many tickets as the count says, however often it has to go on."""
    ledger, sources = ledger_of([[(n, n % 4) for n in range(50)], [(7, 1)] * 20], scan=3)
    search = TicketSearch(ledger, SearchLimits(rounds=1, contract_page=5))
    wanted = TicketFilter(gross_from=1)
    exported = [found async for found in search.all(sources, wanted)]
    assert len(exported) == await search.count(sources, wanted) == 57


async def test_a_station_that_cannot_be_asked_fails_the_page() -> None:
    """A page never silently leaves a station's tickets out."""
    ledger, sources = ledger_of([[(1, 1)], [(2, 1)]], scan=3)
    ledger.failures.append(NodeUnavailable("node-2 does not answer"))
    with pytest.raises(NodeUnavailable):
        await TicketSearch(ledger).page(sources, TicketFilter())


async def test_a_ticket_is_found_at_any_station() -> None:
    """By its id a ticket is found whichever station holds it, and an unknown one is None."""
    ledger, sources = ledger_of([[(1, 1)], [(2, 1)]], scan=3)
    found = await TicketSearch(ledger).find(sources, "t2")
    assert found is not None
    assert found.source is sources[1]
    assert await TicketSearch(ledger).find(sources, "t3") is None


@given(st.text(max_size=40))
def test_a_foreign_cursor_is_refused(text: str) -> None:
    """Whatever is no cursor of ours is refused with one error, never with a traceback."""
    try:
        place = Place.decode(text, newest_first=False)
    except BadCursor:
        return
    assert Place.decode(place.encode(newest_first=False), newest_first=False) == place


def test_a_cursor_keeps_its_direction() -> None:
    """A cursor of the one order is refused in the other, where it would skip tickets."""
    text = Place(1, "s", 1).encode(newest_first=True)
    with pytest.raises(BadCursor, match="other order"):
        Place.decode(text, newest_first=False)


@pytest.mark.parametrize("index", [0, 2**64])
def test_a_cursor_without_a_ticket_is_refused(index: int) -> None:
    """Indexes begin with 1; the contract would take a forged 0 for the beginning."""
    with pytest.raises(BadCursor):
        Place.decode(Place(0, "s", index).encode(newest_first=True), newest_first=True)
