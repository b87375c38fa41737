"""What a call may cost, whatever the tickets and the filter are."""

import random

import pytest
from contract_bed import (
    CALL_GAS,
    INTERFACE,
    Station,
    cold_node,
    filter_tuple,
    seeded,
    ticket_tuple,
)
from contract_tickets import BASE, make_ticket, random_ticket

from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import CellWeight, TicketFilter

HOUR = 3_600_000
# What a transaction of one ticket may take, at 22,100 for each new word of storage: far less than a
# block holds, so that no crowd of tickets can stop a station from registering.
ONE_TICKET_GAS = 3_000_000


def crowd(count: int, times, **changes) -> list:
    return [
        make_ticket(id=f"t{number}", timestamp=times(number), **changes) for number in range(count)
    ]


def times_of(kind: str, source: random.Random):
    """The order of time that a kind of station sends its tickets in."""
    return {
        "one millisecond": lambda _: BASE,
        "one hour": lambda _: BASE + source.randrange(HOUR),
        "backwards": lambda n: BASE - n * 1000,
        "every power of two": lambda n: (1 << (n % 47)) + n // 47,
        "always before the last": lambda n: BASE - n % 64 + (n // 64) * HOUR,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["one millisecond", "one hour", "backwards", "every power of two", "always before the last"],
)
def test_ten_thousand_adversarial_tickets(kind):
    """Registering, paging and counting stay bounded, wherever the tickets crowd in time."""
    source = seeded(kind)
    tickets = crowd(10_000, times_of(kind, source))
    station = Station()
    most = 0
    for start in range(0, len(tickets), 200):
        batch = [ticket_tuple(ticket) for ticket in tickets[start : start + 200]]
        station.send(INTERFACE.encode_call("registerMany", batch))
        most = max(most, station.gas_used)
    assert most < 200 * 300_000
    order = sorted(range(10_000), key=lambda n: (tickets[n].timestamp, n))
    wanted = TicketFilter(scale_serial="WB-1")
    page, _ = station.query(wanted, 0, 500)
    assert [entry.index - 1 for entry in page] == order[:500]
    middle = (tickets[order[5000]].timestamp << 64) | (order[5000] + 1)
    page, _ = station.query(wanted, middle, 500, newest_first=True)
    assert [entry.index - 1 for entry in page] == order[4999:4499:-1]
    assert station.count(wanted, middle) == (4999, 0)
    late = ticket_tuple(make_ticket(id="late", timestamp=tickets[order[5000]].timestamp))
    with cold_node(station) as node:
        assert node.gas("query", filter_tuple(wanted), middle, 100) < 4_000_000
        assert node.gas("count", filter_tuple(wanted), middle) < 500_000
        assert node.registering_gas(INTERFACE.encode_call("register", late)) < ONE_TICKET_GAS


def test_the_deepest_split_is_bounded():
    """The ticket that splits a full leaf of one millisecond fits easily into a transaction."""
    station = Station()
    station.register_all(crowd(64, lambda _: BASE))
    one_more = INTERFACE.encode_call("register", ticket_tuple(make_ticket(id="x")))
    with cold_node(station) as node:
        assert node.registering_gas(one_more) < ONE_TICKET_GAS
    station.send(one_more)
    page, _ = station.query(TicketFilter(), 0, 500)
    assert [entry.index for entry in page] == list(range(1, 66))


def test_the_widest_split_is_bounded():
    """The ticket that splits a full leaf into eight fits easily into a transaction."""
    station = Station()
    station.register_all(crowd(64, lambda n: n * 3 << 40))
    one_more = make_ticket(id="x", timestamp=5 << 40)
    with cold_node(station) as node:
        data = INTERFACE.encode_call("register", ticket_tuple(one_more))
        assert node.registering_gas(data) < ONE_TICKET_GAS


def test_a_ticket_of_new_texts_only_is_bounded():
    """The dearest ticket: 32 cells, an id of 96 bytes, and nothing of it seen before."""
    cells = tuple(CellWeight(serial=f"{'c' * 30}{i:02}", weight=i) for i in range(32))
    for ticket_id in ("i" * 96, f"{'i' * 83}{BASE}"):
        ticket = make_ticket(id=ticket_id, cells=cells, vehicle="v" * 32)
        with cold_node(Station()) as node:
            data = INTERFACE.encode_call("register", ticket_tuple(ticket))
            assert node.registering_gas(data) < ONE_TICKET_GAS


def test_what_is_offered_for_one_ticket_suffices_for_the_dearest():
    """All but the weighbridge is new, and it splits two full leaves of one millisecond."""
    cells = tuple(CellWeight(serial=f"{'c' * 30}{i:02}", weight=-i) for i in range(32))
    texts = {"terminal_serial": "T" * 32, "status": "new-status-1", "vehicle": "v" * 32}
    ticket = make_ticket(id="i" * 96, cells=cells, **texts)
    station = Station()
    station.register_all(crowd(64, lambda _: BASE))
    settings = LedgerSettings()
    with cold_node(station) as node:
        data = INTERFACE.encode_call("register", ticket_tuple(ticket))
        assert node.registering_gas(data) < settings.gas_base + settings.gas_per_ticket


@pytest.mark.parametrize(
    ("gas", "newest_first"), [(CALL_GAS, False), (20_000_000, False), (1_000_000, True)]
)
def test_the_largest_pages_fit_into_the_gas(gas, newest_first):
    """Pages of 500 tickets of 32 cells get shorter, never fail, and lose nothing."""
    cells = tuple(CellWeight(serial=f"cell-{i}", weight=-i) for i in range(32))
    ids = {"cells": cells, "vehicle": "v" * 32}
    tickets = [
        ticket.model_copy(update={"id": f"{'i' * 80}{number}"})
        for number, ticket in enumerate(crowd(600, lambda n: BASE + n, **ids))
    ]
    station = Station()
    station.register_all(tickets)
    found, cursor, calls = [], 0, 0
    with cold_node(station) as node:
        while calls == 0 or cursor:
            # The first calls are made on cold storage, as at a node; the rest where it is faster.
            asked = node.station() if calls < 2 else station
            page, cursor = asked.query(
                TicketFilter(), cursor, 500, newest_first=newest_first, gas=gas
            )
            assert page
            found += page
            calls += 1
    indexes = [entry.index for entry in found]
    assert indexes == (list(range(600, 0, -1)) if newest_first else list(range(1, 601)))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "wanted",
    [
        TicketFilter(status="overload", gross_from=1, gross_to=1, tare_from=2, tare_to=999),
        TicketFilter(cell_weight_from=1001, cell_weight_to=2**31 - 2),
    ],
)
def test_an_unindexed_filter_scans_within_the_gas(scanned_station, wanted, newest_first):
    """A filter that nothing passes ends each call within the cap, and goes on to the end."""
    page, cursor = scanned_station.query(wanted, 0, 500, newest_first=newest_first)
    assert page == []
    calls = 1
    while cursor:
        page, cursor = scanned_station.query(wanted, cursor, 500, newest_first=newest_first)
        assert page == []
        calls += 1
    assert calls <= 3  # by the number of tickets or by the gas, whichever ends a call first
    cursor, counted, calls = 0, 0, 0
    while calls == 0 or cursor:
        found, cursor = scanned_station.count(wanted, cursor, newest_first=newest_first)
        counted += found
        calls += 1
    assert counted == 0
    assert calls <= 3


def test_the_dearest_scan_fits_into_the_gas_of_a_node(scanned_station):
    """On cold storage too, a call that looks at every cell of every ticket ends within the cap."""
    wanted = TicketFilter(cell_weight_from=1001, cell_weight_to=2**31 - 2)
    with cold_node(scanned_station) as node:
        page, following = node.station().query(wanted, 0, 500)
    assert page == []
    assert following != 0


@pytest.fixture(scope="module")
def scanned_station():
    """More tickets than one call looks at."""
    source = seeded(3)
    station = Station()
    station.register_all([random_ticket(source, n, BASE + n * 144_000) for n in range(9_000)])
    return station


def test_a_filter_with_an_unheard_of_text_costs_nothing():
    """Neither a scan nor a look at the index: the answer is empty at once."""
    station = Station()
    station.register_all(crowd(1000, lambda n: BASE + n))
    with cold_node(station) as node:
        for name in ("scale_serial", "terminal_serial", "cell_serial", "status", "vehicle"):
            wanted = TicketFilter(**{name: "unheard-of"})
            assert station.query(wanted) == ([], 0)
            assert node.gas("query", filter_tuple(wanted), 0, 100) < 60_000
