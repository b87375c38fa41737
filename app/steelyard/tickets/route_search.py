"""A vehicle's weighings over all of a customer's stations, held against the routes.

The contract compares a vehicle's text as it is. So names in the normalised form, and the weighings
before a page that say what its own show, are found by walking through all tickets of their time;
how many one request may look at has a limit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from steelyard.ticket import TicketFilter
from steelyard.tickets.cursor import Place
from steelyard.tickets.errors import RouteTooBusy
from steelyard.tickets.judge import ActiveRoute, Deviation, Judges
from steelyard.tickets.search import Found, SearchPage, Source, TicketSearch
from steelyard.vehicles import normalise_vehicle


class Match(StrEnum):
    """How vehicle names are compared."""

    NORMALISED = "normalised"
    WRITTEN = "written"


class Flags(StrEnum):
    """Which weighings a page holds: all with their deviations, those with one, all unjudged."""

    ALL = "all"
    ONLY = "only"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RouteQuestion:
    """Which weighings are asked for: of one vehicle, or, with None, of any."""

    vehicle: str | None
    match: Match = Match.NORMALISED
    flags: Flags = Flags.ALL
    timestamp_from: int | None = None
    timestamp_to: int | None = None
    after: Place | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class JudgedWeighing:
    """A weighing, and the deviations that it shows together with one before."""

    found: Found
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class RoutePage:
    """Weighings in the order of time, and the place to go on after; None when nothing is left."""

    weighings: tuple[JudgedWeighing, ...]
    next: Place | None


class RouteSearch:
    """Finds and judges weighings. `scan` is how many tickets one page may look at."""

    def __init__(self, search: TicketSearch, *, scan: int, rounds: int) -> None:
        self._search = search
        self._scan = scan
        self._rounds = rounds

    async def page(
        self, sources: Sequence[Source], routes: Iterable[ActiveRoute], question: RouteQuestion
    ) -> RoutePage:
        """The next weighings; fewer than the limit, even none, when the scan's bound is met first.

        Raises RouteTooBusy when what must be known before the page is beyond the bound.
        """
        applicable = _applicable(routes, question)
        if question.flags is Flags.ONLY and not applicable:
            return RoutePage((), None)
        walk = _Walk(question, applicable)
        budget = _Budget(self._scan, self._rounds)
        pages = self._search.walk(sources, walk.ticket_filter, after=walk.start_after)
        async for page in pages:
            for found in page.found:
                if walk.take(found):
                    return RoutePage(tuple(walk.weighings), found.place)
            budget.spend(page)
            behind = walk.is_before(page.next)
            if behind and budget.exceeded:
                raise RouteTooBusy(
                    f"More than {self._scan} tickets lie in the {walk.lookback // 1000} seconds "
                    "before the page, which the routes' within_seconds ask for"
                )
            if not behind and walk.arrived():
                budget = _Budget(self._scan, self._rounds)  # the page itself has its own
            elif budget.exceeded:
                return RoutePage(tuple(walk.weighings), page.next)
        return RoutePage(tuple(walk.weighings), None)

    async def window(self, sources: Sequence[Source], start: int, end: int) -> list[Found]:
        """All weighings with a vehicle from `start` to `end` (ms). Raises RouteTooBusy."""
        wanted = TicketFilter(timestamp_from=max(0, start), timestamp_to=end)
        budget = _Budget(self._scan, self._rounds)
        weighings: list[Found] = []
        async for page in self._search.walk(sources, wanted):
            weighings += [one for one in page.found if one.entry.ticket.vehicle is not None]
            budget.spend(page)
            if budget.exceeded:
                raise RouteTooBusy(f"More than {self._scan} tickets lie around a weighing")
        return weighings


class _Budget:
    """How much of a walk is left, in tickets and in rounds of calls to the nodes."""

    def __init__(self, tickets: int, rounds: int) -> None:
        self._tickets = tickets
        self._rounds = rounds

    def spend(self, page: SearchPage) -> None:
        self._tickets -= len(page.found)
        self._rounds -= 1

    @property
    def exceeded(self) -> bool:
        return self._tickets <= 0 or self._rounds <= 0


class _Walk:
    """One walk for one page: from so far before it that every open run is known, to its end."""

    def __init__(self, question: RouteQuestion, routes: Sequence[ActiveRoute]) -> None:
        self._question = question
        self._key = None if question.vehicle is None else normalise_vehicle(question.vehicle)
        self._judges = Judges(routes)
        self._judging = bool(routes)
        self.lookback = max((route.within_ms for route in routes), default=0)
        self._first = max(
            question.timestamp_from or 0, question.after.timestamp if question.after else 0
        )
        self._before_page = self._judging
        self.weighings: list[JudgedWeighing] = []

    @property
    def ticket_filter(self) -> TicketFilter:
        question = self._question
        if self._judging:
            start: int | None = max(0, self._first - self.lookback)
            exact = None  # another spelling may have opened the run
        else:
            start = question.timestamp_from
            exact = question.vehicle if question.match is Match.WRITTEN else None
        return TicketFilter(timestamp_from=start, timestamp_to=question.timestamp_to, vehicle=exact)

    @property
    def start_after(self) -> Place | None:
        """Where the walk begins; with routes it is the filter's time, before the page."""
        return None if self._judging else self._question.after

    def is_before(self, place: Place | None) -> bool:
        """Whether the walk, having come so far, is still before the page."""
        return place is not None and self._judging and not self._is_on_page(place)

    def arrived(self) -> bool:
        """Whether the page has been come to just now: true once."""
        just_now, self._before_page = self._before_page, False
        return just_now

    def take(self, found: Found) -> bool:
        """Look at a ticket; whether the page is full with it."""
        ticket, question = found.entry.ticket, self._question
        if ticket.vehicle is None:
            return False
        if self._key is not None and normalise_vehicle(ticket.vehicle) != self._key:
            return False
        deviations = self._judges.take(found) if self._judging else ()
        if not self._is_on_page(found.place):
            return False
        if question.match is Match.WRITTEN and ticket.vehicle != question.vehicle:
            return False
        if question.flags is Flags.ONLY and not deviations:
            return False
        self.weighings.append(JudgedWeighing(found, deviations))
        return len(self.weighings) == question.limit

    def _is_on_page(self, place: Place) -> bool:
        after, start = self._question.after, self._question.timestamp_from
        return (after is None or place > after) and (start is None or place.timestamp >= start)


def _applicable(routes: Iterable[ActiveRoute], question: RouteQuestion) -> tuple[ActiveRoute, ...]:
    """The routes that say something of what is asked for."""
    if question.flags is Flags.NONE:
        return ()
    if question.vehicle is None:
        return tuple(routes)
    key = normalise_vehicle(question.vehicle)
    return tuple(route for route in routes if route.pattern.matches(key))
