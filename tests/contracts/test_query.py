"""What `query`, `count` and `get` answer is what the model of the filter says."""

from collections.abc import Iterator, Sequence
from itertools import repeat

import pytest
from contract_bed import ContractError, Entry, Station, seeded
from contract_tickets import BASE, crowds, filters, make_ticket, random_ticket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ticket import MAX_TIMESTAMP_MS, Ticket, TicketFilter

EVERYTHING = TicketFilter()
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def expected(tickets: Sequence[Ticket], wanted: TicketFilter, newest_first: bool) -> list[Entry]:
    """The model: all entries that pass, sorted by time and registration."""
    entries = [Entry(t, i, 1) for i, t in enumerate(tickets, 1) if wanted.matches(t)]
    return sorted(entries, key=lambda entry: entry.key, reverse=newest_first)


def pages(
    station: Station, wanted: TicketFilter, limits: Iterator[int], *, newest_first: bool
) -> list[Entry]:
    """All entries, page by page; every call must move on, within its limit."""
    found: list[Entry] = []
    cursor = 0
    while True:
        limit = next(limits)
        page, following = station.query(wanted, cursor, limit, newest_first=newest_first)
        assert len(page) <= limit
        found += page
        if following == 0:
            return found
        assert cursor == 0 or (following < cursor if newest_first else following > cursor)
        cursor = following


def fill(tickets: Sequence[Ticket]) -> Station:
    station = Station()
    station.register_all(tickets)
    return station


@EXAMPLES
@given(crowd=crowds(), data=st.data(), newest_first=st.booleans())
def test_pages_hold_each_match_once_in_order(crowd, data, newest_first):
    """Paging with any limits gives exactly what the model's filter gives, each once, in order."""
    station = fill(crowd)
    ids = tuple(ticket.id for ticket in crowd) or ("nobody",)
    for _ in range(8):
        wanted = data.draw(filters(ids))
        size = data.draw(st.sampled_from((1, 2, 7, 500)))
        found = pages(station, wanted, repeat(size), newest_first=newest_first)
        assert found == expected(crowd, wanted, newest_first)
        assert station.count(wanted, newest_first=newest_first) == (len(found), 0)


@EXAMPLES
@given(crowd=crowds(), data=st.data(), newest_first=st.booleans())
def test_any_key_is_a_cursor(crowd, data, newest_first):
    """A cursor made by hand, from a ticket or between tickets, starts strictly behind its place."""
    station = fill(crowd)
    wanted = data.draw(filters(tuple(ticket.id for ticket in crowd) or ("nobody",)))
    keys = [entry.key for entry in expected(crowd, EVERYTHING, newest_first)]
    odd = [1, 2**64 - 1, BASE << 64, (MAX_TIMESTAMP_MS << 64) + 2**63, 2**112, 2**256 - 1]
    cursor = data.draw(st.sampled_from(keys + odd))
    behind = [
        entry
        for entry in expected(crowd, wanted, newest_first)
        if (entry.key < cursor if newest_first else entry.key > cursor)
    ]
    page, following = station.query(wanted, cursor, 500, newest_first=newest_first)
    assert (page, following) == (behind, 0)
    assert station.count(wanted, cursor, newest_first=newest_first) == (len(behind), 0)


@pytest.mark.parametrize("spread", [0, 3, 100, 5_000, 10_000_000, 200_000_000_000])
@pytest.mark.parametrize("newest_first", [False, True])
def test_order_holds_through_splits(spread, newest_first):
    """Hundreds of tickets, in any order and as close in time as can be, keep their order."""
    source = seeded(spread)
    tickets = [
        random_ticket(source, number, BASE + source.randint(0, spread)) for number in range(700)
    ]
    station = fill(tickets)
    sizes = (source.choice((1, 3, 64, 65, 200, 500)) for _ in repeat(None))
    moments = sorted(ticket.timestamp for ticket in tickets)
    middle = {"timestamp_from": moments[150], "timestamp_to": moments[600]}
    for wanted in (
        EVERYTHING,
        TicketFilter(**middle),
        TicketFilter(scale_serial="WB-2"),
        TicketFilter(scale_serial="WB-2", **middle),
        TicketFilter(scale_serial="WB-1", vehicle="T1", **middle),
        TicketFilter(cell_serial="LC-2", cell_weight_from=2, status="overload"),
    ):
        model = expected(tickets, wanted, newest_first)
        assert model
        assert pages(station, wanted, sizes, newest_first=newest_first) == model
        assert station.count(wanted, newest_first=newest_first) == (len(model), 0)
        half = model[len(model) // 2].key
        assert (
            station.count(wanted, half, newest_first=newest_first)[0]
            == len(model) - len(model) // 2 - 1
        )


@pytest.mark.parametrize("direction", [1, -1])
def test_order_of_arrival_does_not_matter(direction):
    """Tickets that arrive in the order of time, or against it, are paged in the order of time."""
    source = seeded(5)
    tickets = [random_ticket(source, n, BASE + direction * n * 144_000) for n in range(400)]
    station = fill(tickets)
    found = pages(station, EVERYTHING, repeat(90), newest_first=False)
    assert found == expected(tickets, EVERYTHING, newest_first=False)


def test_an_empty_contract_answers_empty(station):
    """Without tickets there is nothing, in either direction and behind any cursor."""
    for newest_first in (False, True):
        assert station.query(EVERYTHING, newest_first=newest_first) == ([], 0)
        assert station.query(EVERYTHING, 1 << 64, newest_first=newest_first) == ([], 0)
        assert station.count(EVERYTHING, newest_first=newest_first) == (0, 0)
    assert station.total() == 0


def test_ids_derived_from_the_time_and_others_are_returned_as_given(station):
    """An id comes back byte for byte, whether or not its end is the ticket's timestamp."""
    ids = [
        f"s_w_{BASE}",
        f"{BASE}",
        f"s_w_{BASE + 1}",
        f"0{BASE}",
        f"7{BASE}",
        "x",
        "y" * 96,
        "z" * 64,
    ]
    ids += [f"{'p' * 83}{BASE}", f"s_w_0{BASE}", f"{'q' * 32}{BASE}", f"s_w_{BASE}0"]
    tickets = [make_ticket(id=each) for each in ids]
    tickets += [make_ticket(id=each, timestamp=0) for each in ("0", "a0", "00", "10", "b")]
    station.register_all(tickets)
    assert [station.get(ticket.id).ticket for ticket in tickets] == tickets


def test_an_entry_tells_its_index_and_block(station):
    """Indexes count from 1 in the order of registration; the block is the registering one's."""
    station.mine(7)
    station.register(make_ticket(id="late"))
    station.mine(2**40 - 1)
    station.register(make_ticket(id="early", timestamp=3), make_ticket(id="again"))
    assert [
        (station.get(i).index, station.get(i).block_number) for i in ("late", "early", "again")
    ] == [
        (1, 7),
        (2, 2**40 - 1),
        (3, 2**40 - 1),
    ]
    page, _ = station.query(EVERYTHING)
    assert [entry.ticket.id for entry in page] == ["early", "late", "again"]


@pytest.mark.parametrize("limit", [0, 501, 2**256 - 1])
def test_a_limit_out_of_range_is_refused(station, limit):
    """A page holds 1 to 500 tickets."""
    with pytest.raises(ContractError) as caught:
        station.query(EVERYTHING, 0, limit)
    assert (caught.value.name, caught.value.arguments) == ("LimitOutOfRange", (limit, 500))


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_id_is_looked_for_strictly_behind_the_cursor(station, newest_first):
    """A filter by id heeds the cursor and the other conditions, as any filter does."""
    tickets = [make_ticket(id=f"t{number}", timestamp=BASE + number) for number in range(3)]
    station.register(*tickets)
    keys = [station.get(ticket.id).key for ticket in tickets]
    wanted = TicketFilter(id="t1")
    for cursor, held in ((0, 1), (keys[0], 1), (keys[1], 0), (keys[2], 0)):
        place = cursor if not newest_first or cursor == 0 else keys[2 - keys.index(cursor)]
        page, following = station.query(wanted, place, newest_first=newest_first)
        assert ([entry.ticket for entry in page], following) == ([tickets[1]] * held, 0)
        assert station.count(wanted, place, newest_first=newest_first) == (held, 0)
    assert station.query(TicketFilter(id="t1", scale_serial="WB-1"))[0] != []
    for other in ({"scale_serial": "LC-1"}, {"gross_to": 1}, {"timestamp_to": BASE}):
        assert station.query(TicketFilter(id="t1", **other)) == ([], 0)


def test_an_unknown_id_is_refused(station):
    """`get` tells the id that nobody has."""
    with pytest.raises(ContractError) as caught:
        station.get("nobody")
    assert (caught.value.name, caught.value.arguments) == ("UnknownTicket", ("nobody",))


def test_a_filter_on_net_alone_is_looked_at(station):
    """Ranges that exclude anything at all are never taken for open ends."""
    heavy = make_ticket(id="heavy", gross=2**31 - 1, tare=0)
    light = make_ticket(id="light", gross=0, tare=2**31 - 1)
    station.register(heavy, light)
    top = 2**31 - 1
    assert station.count(TicketFilter(net_to=top - 1)) == (1, 0)
    assert station.count(TicketFilter(net_from=-top + 1)) == (1, 0)
    assert station.count(TicketFilter(gross_from=1)) == (1, 0)
    assert station.count(TicketFilter(gross_to=top - 1)) == (1, 0)
    assert station.count(TicketFilter(tare_from=1)) == (1, 0)
    assert station.count(TicketFilter(tare_to=top - 1)) == (1, 0)
    assert station.count(TicketFilter(restart_from=2)) == (0, 0)
    assert station.count(TicketFilter(restart_to=0)) == (0, 0)
