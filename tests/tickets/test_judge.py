"""What deviates follows from the weighings in the order of time, and from nothing else."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from route_kit import STATIONS, found, ledger_of, route, short, source, weighing
from steelyard.route_plan import Expectation
from steelyard.ticket import Ticket, TicketFilter
from steelyard.tickets.cursor import Place
from steelyard.tickets.errors import RouteTooBusy
from steelyard.tickets.judge import ActiveRoute, Judges
from steelyard.tickets.route_checks import changes
from steelyard.tickets.route_search import Flags, Match, RouteQuestion, RouteSearch
from steelyard.tickets.search import SearchLimits, TicketSearch

SAME = {"at": 2, "since": 1, "grams": 0, "tolerance_grams": 5}


def judged(routes: ActiveRoute | list[ActiveRoute], *weighings: tuple[str, Ticket]) -> list[str]:
    judges = Judges(routes if isinstance(routes, list) else [routes])
    return [short(one) for each in weighings for one in judges.take(found(*each))]


def at(letters: str, *weights: int) -> list[tuple[str, Ticket]]:
    """Weighings at these stations, ten seconds apart."""
    grosses = weights or (100,) * len(letters)
    return [
        weighing(letter, 10 * number, gross)
        for number, (letter, gross) in enumerate(zip(letters, grosses, strict=True), start=1)
    ]


CASES: list[tuple[str, ActiveRoute, list[tuple[str, Ticket]], list[str]]] = [
    ("as expected", route("AB", SAME), at("AB"), []),
    ("within the tolerance", route("AB", SAME), at("AB", 100, 105), []),
    ("beyond it", route("AB", SAME), at("AB", 100, 106), ["A10>B20 +6"]),
    ("lost on the way", route("AB", SAME), at("AB", 100, 90), ["A10>B20 -10"]),
    ("the last weighing before it goes on counts", route("AB", SAME), at("AAB", 50, 100, 100), []),
    ("the first at the last stop counts", route("AB", SAME), at("ABB", 100, 100, 40), []),
    ("a stop left out", route("ABC"), at("AC"), ["A10>C20 order"]),
    ("back again", route("ABCD"), at("ABCB"), ["C30>B40 order"]),
    ("a repeat is no other order", route("ABC"), at("ABBC"), []),
    ("without the first stop there is no run", route("ABC"), at("BC"), []),
    ("elsewhere in between", route("AB", SAME), at("ACDB"), []),
    (
        "the next run is one of its own",
        route("AB", SAME),
        at("ABAB", 9, 9, 80, 90),
        ["A30>B40 +10"],
    ),
    ("round trips", route("ABA"), at("ABABA"), []),
    (
        "a round trip's end begins the next",
        route("ABA", {"at": 3, "since": 1, "grams": 20, "tolerance_grams": 0}),
        at("ABABA", 10, 0, 30, 0, 49),
        ["A30>A50 -1"],
    ),
    ("a station's weighbridges are stops", route("A:W1 A:W2 B"), at("AB"), ["A10>B20 order"]),
    (
        "what it should weigh at a stop",
        route("AB", {"at": 2, "grams": 100, "tolerance_grams": 1}),
        at("AB", 7, 90),
        ["A10>B20 -10"],
    ),
    (
        "what it should weigh at the first stop",
        route("A", {"at": 1, "grams": 100, "tolerance_grams": 1}),
        at("A", 90),
        [">A10 -10"],
    ),
    (
        "a stop that was left out is not compared with",
        route("ABC", {"at": 3, "since": 2, "grams": 0, "tolerance_grams": 0}),
        at("AC", 1, 99),
        ["A10>C20 order"],
    ),
    (
        "a percentage of what is expected",
        route("AB", {"at": 2, "since": 1, "grams": 1000, "tolerance_percent": 0.5}),
        at("AB", 1000, 2011),
        ["A10>B20 +11"],
    ),
    (
        "the same, met",
        route("AB", {"at": 2, "since": 1, "grams": 1000, "tolerance_percent": 0.5}),
        at("AB", 1000, 1990),
        [],
    ),
    (
        "too late is another run",
        route("AB", SAME, within=100),
        [weighing("A", 0, 10), weighing("B", 101, 99)],
        [],
    ),
    (
        "just in time",
        route("AB", SAME, within=100),
        [weighing("A", 0, 10), weighing("B", 100, 99)],
        ["A0>B100 +89"],
    ),
    (
        "before it was valid",
        route("AB", SAME, valid_from=11_000),
        at("AB", 1, 99),
        [],
    ),
    ("after it was valid", route("AB", SAME, valid_to=19_000), at("AB", 1, 99), []),
]


@pytest.mark.parametrize(
    ("route_", "weighings", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_rules(
    route_: ActiveRoute, weighings: list[tuple[str, Ticket]], expected: list[str]
) -> None:
    """One line a rule of docs/decisions/routes.md."""
    assert judged(route_, *weighings) == expected


def test_vehicles_do_not_mix() -> None:
    """Two trucks on one route at the same time are two runs; two spellings are one."""
    mixed = [
        weighing("A", 1, 100, "AA-1"),
        weighing("A", 2, 50, "BB-2"),
        weighing("B", 3, 100, "aa 1"),
        weighing("B", 4, 90, "bb.2"),
        weighing("B", 5, 1, None),
    ]
    assert judged(route("AB", SAME), *mixed) == ["A2>B4 +40"]


@pytest.mark.parametrize(
    ("stops", "sentence"),
    [("AA", "stop 2 is where the first"), ("ABAC", "stop 3 is"), ("A A:W1 B", "stop 2 is")],
)
def test_a_first_stop_that_would_be_ambiguous_is_refused(stops: str, sentence: str) -> None:
    """Where a run begins must be plain from the weighing alone."""
    with pytest.raises(ValidationError, match=sentence):
        route(stops)


@given(st.integers(-(2**31), 2**31), st.integers(0, 100_000))
def test_percentages_are_exact(expected: int, thousandths: int) -> None:
    """The tolerance is the percentage rounded down to grams, with no error of a float."""
    one = Expectation(at=1, grams=0, tolerance_percent=thousandths / 1000)
    assert one.tolerance(expected) == thousandths * abs(expected) // 100_000


ROUTES = [
    route("AB", SAME, within=7),
    route("ABC", {"at": 3, "since": 1, "grams": 1, "tolerance_grams": 0}, within=5),
    route("ABA", {"at": 3, "since": 1, "grams": 0, "tolerance_grams": 1}, within=9),
    route("A B B:W1 D", {"at": 4, "grams": 2, "tolerance_grams": 1}, within=12),
    route("CA", SAME, within=3, valid_from=4_000, valid_to=20_000),
]
places = st.tuples(st.sampled_from(STATIONS), st.integers(0, 30))
arrivals = st.lists(places, unique=True, max_size=25).flatmap(
    lambda seen: st.tuples(
        *(
            st.builds(
                weighing,
                st.just(letter),
                st.just(time),
                st.integers(0, 3).map(lambda n: n * 4),
                st.sampled_from(["AA-1", "aa 1", "BB-2", None]),
            )
            for letter, time in seen
        )
    ).map(list)
)
some_routes = st.lists(st.sampled_from(ROUTES), unique_by=lambda one: one.id, max_size=3)


def in_order(arrived: list[tuple[str, Ticket]]) -> list[tuple[str, Ticket]]:
    return sorted(arrived, key=lambda one: (one[1].timestamp, one[0]))


def everything(arrived: list[tuple[str, Ticket]], routes: list[ActiveRoute]) -> list[Any]:
    """Every weighing with a vehicle, in order, with its deviations: judged in one go."""
    judges = Judges(routes)
    return [
        (ticket.id, [short(one) for one in judges.take(found(letter, ticket))])
        for letter, ticket in in_order(arrived)
        if ticket.vehicle is not None
    ]


async def paged(
    arrived: list[tuple[str, Ticket]],
    routes: list[ActiveRoute],
    limits: SearchLimits,
    scan: int,
    question: dict[str, Any],
) -> list[Any]:
    """Page through to the end, each time by the cursor's text, as a client does."""
    search = RouteSearch(TicketSearch(ledger_of(arrived, scan=3), limits), scan=scan, rounds=10_000)
    sources = [source(letter) for letter in STATIONS]
    seen: list[Any] = []
    after: Place | None = None
    while True:
        page = await search.page(sources, routes, RouteQuestion(after=after, **question))
        assert len(page.weighings) <= question["limit"]
        seen += [
            (one.found.entry.ticket.id, [short(each) for each in one.deviations])
            for one in page.weighings
        ]
        if page.next is None:
            return seen
        following = Place.decode(page.next.encode(newest_first=False), newest_first=False)
        assert after is None or following > after, "every page gets on"
        after = following


@settings(max_examples=200, deadline=None)
@given(
    arrived=arrivals,
    routes=some_routes,
    limit=st.integers(1, 4),
    contract_page=st.integers(1, 4),
    window=st.tuples(st.none() | st.integers(0, 15), st.none() | st.integers(15, 31)),
    flags=st.sampled_from(list(Flags)),
    vehicle=st.sampled_from([None, "AA-1", "aa.1", "BB-2"]),
    match=st.sampled_from(list(Match)),
)
def test_pages_are_the_whole_cut_in_pieces(
    arrived: list[tuple[str, Ticket]],
    routes: list[ActiveRoute],
    limit: int,
    contract_page: int,
    window: tuple[int | None, int | None],
    flags: Flags,
    vehicle: str | None,
    match: Match,
) -> None:
    """Whatever the order of arrival, the pages and the times: one order, and the same flags."""
    low, high = (None if end is None else end * 1000 for end in window)
    if vehicle is None:
        match = Match.NORMALISED
    question = {
        "vehicle": vehicle,
        "match": match,
        "flags": flags,
        "timestamp_from": low,
        "timestamp_to": high,
        "limit": limit,
    }
    limits = SearchLimits(contract_page=contract_page)
    seen = asyncio.run(paged(arrived, routes, limits, 100, question))
    tickets = {ticket.id: ticket for _, ticket in arrived}

    def wanted(ticket: Ticket, deviations: list[str]) -> bool:
        spelled = (ticket.vehicle or "").lower().replace("-", "").replace(" ", "")
        return (
            (low is None or low <= ticket.timestamp)
            and (high is None or ticket.timestamp <= high)
            and (vehicle is None or spelled == vehicle.lower().replace("-", "").replace(".", ""))
            and (match is Match.NORMALISED or ticket.vehicle == vehicle)
            and (flags is not Flags.ONLY or bool(deviations))
        )

    assert seen == [
        (name, [] if flags is Flags.NONE else deviations)
        for name, deviations in everything(arrived, routes)
        if wanted(tickets[name], deviations)
    ]


@settings(max_examples=100, deadline=None)
@given(arrived=arrivals, routes=some_routes, scan=st.integers(1, 6))
def test_a_small_scan_gives_the_same_or_says_that_it_cannot(
    arrived: list[tuple[str, Ticket]], routes: list[ActiveRoute], scan: int
) -> None:
    """A bound makes pages short, or is named: it never makes a flag wrong or a weighing missing."""
    question = {"vehicle": None, "limit": 3}
    try:
        seen = asyncio.run(paged(arrived, routes, SearchLimits(contract_page=2), scan, question))
    except RouteTooBusy:
        return
    assert seen == everything(arrived, routes)


@settings(max_examples=150, deadline=None)
@given(arrived=arrivals, routes=some_routes, sizes=st.lists(st.integers(1, 3), min_size=25))
def test_events_add_up_to_what_is_there(
    arrived: list[tuple[str, Ticket]], routes: list[ActiveRoute], sizes: list[int]
) -> None:
    """In any order of arrival, in batches, what was told less what was withdrawn is what holds."""
    within = max((one.within_ms for one in routes), default=0)
    told: set[str] = set()
    rest, there = list(arrived), []
    for size in sizes:
        batch, rest = rest[:size], rest[size:]
        there += batch
        times = [ticket.timestamp for _, ticket in batch]
        if not times:
            break
        window = [
            found(*each)
            for each in in_order(there)
            if min(times) - within <= each[1].timestamp <= max(times) + within
        ]
        new, gone = changes(routes, window, {ticket.id for _, ticket in batch})
        withdrawn = {f"{one.route.id} {short(one)}" for one in gone}
        assert withdrawn <= told
        told = (told - withdrawn) | {f"{one.route.id} {short(one)}" for one in new}
    judges = Judges(routes)
    holds = {
        f"{one.route.id} {short(one)}"
        for each in in_order(there)
        for one in judges.take(found(*each))
    }
    assert told == holds


@settings(max_examples=100, deadline=None)
@given(arrived=arrivals, contract_page=st.integers(1, 4), newest=st.booleans())
def test_a_walk_is_every_ticket_once(
    arrived: list[tuple[str, Ticket]], contract_page: int, newest: bool
) -> None:
    """A walk's pages are all tickets in order, and each says rightly where to go on."""

    async def walk(after: Place | None) -> list[tuple[list[str], Place | None]]:
        search = TicketSearch(ledger_of(arrived, scan=3), SearchLimits(contract_page=contract_page))
        pages = search.walk(
            [source(letter) for letter in STATIONS],
            TicketFilter(),
            after=after,
            newest_first=newest,
        )
        return [([one.entry.ticket.id for one in page.found], page.next) async for page in pages]

    expected = [ticket.id for _, ticket in in_order(arrived)]
    if newest:
        expected.reverse()
    pages = asyncio.run(walk(None))
    assert [name for page, _ in pages for name in page] == expected
    seen = 0
    for page, following in pages:
        seen += len(page)
        if following is not None:
            again = asyncio.run(walk(following))
            assert [name for page, _ in again for name in page] == expected[seen:]
