"""Whether a vehicle's weighings are as its route expects: pure, and in the order of time.

A run begins with each weighing at the first stop, so with the last one before the vehicle goes on,
and takes the first weighing at each further stop. So what a run is follows from the weighings of
at most `within_seconds`, and neither from where a page begins nor from when a ticket came.
docs/decisions/routes.md has the rules and why.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from steelyard.route_plan import Expectation, Quantity, RoutePlan
from steelyard.ticket import Ticket
from steelyard.tickets.search import Found
from steelyard.vehicles import VehiclePattern, normalise_vehicle


class Kind(StrEnum):
    """What deviates: a weight, or the order of the stops."""

    WEIGHT = "weight"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class ActiveRoute:
    """A route that is in force, with its id, name and pattern ready."""

    id: str
    name: str
    plan: RoutePlan
    pattern: VehiclePattern

    @property
    def within_ms(self) -> int:
        return self.plan.within_seconds * 1000


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a weighing should have been and was, in grams; `difference` is found minus expected."""

    quantity: Quantity
    expected: int
    found: int
    tolerance: int

    @property
    def difference(self) -> int:
        return self.found - self.expected


@dataclass(frozen=True, slots=True)
class Deviation:
    """A weighing that is not as a route expects, at the stop `at`.

    `earlier` and `later` are the two tickets that show it. `earlier` is None only for a weight at
    the first stop. `since` is the earlier one's stop.
    """

    route: ActiveRoute
    kind: Kind
    at: int
    since: int | None
    earlier: Found | None
    later: Found
    weight: Weighed | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from every other one, in texts; the route's present plan is part of it."""
        weight = self.weight
        numbers = (weight.expected, weight.found, weight.tolerance) if weight else ()
        return (
            self.route.id,
            self.kind,
            str(self.at),
            str(self.since),
            self.earlier.entry.ticket.id if self.earlier else "",
            self.later.entry.ticket.id,
            weight.quantity if weight else "",
            *map(str, numbers),
        )


class RouteJudge:
    """Holds one vehicle's weighings against one route; give them in order."""

    def __init__(self, route: ActiveRoute) -> None:
        self._route = route
        self._plan = route.plan
        self._last = len(route.plan.stops)
        self._at = 0  # the stop where the vehicle is; 0: no run is open
        self._began = 0
        self._met: dict[int, Found] = {}

    def take(self, found: Found) -> Iterator[Deviation]:
        """The deviations that this weighing shows, together with one before."""
        ticket = found.entry.ticket
        if not self._counts(ticket):
            return
        if self._at and ticket.timestamp - self._began > self._route.within_ms:
            self._at = 0
        following = self._at + 1
        goes_on = bool(self._at) and following <= self._last and self._is_at(following, found)
        if goes_on:
            yield from self._arrive(following, found)
        if self._is_at(1, found):
            self._at, self._began, self._met = 0, ticket.timestamp, {}
            yield from self._arrive(1, found)
        elif not goes_on and self._at > 0 and not self._is_at(self._at, found):
            yield from self._out_of_order(found)

    def _counts(self, ticket: Ticket) -> bool:
        plan = self._plan
        return (plan.valid_from is None or plan.valid_from <= ticket.timestamp) and (
            plan.valid_to is None or ticket.timestamp <= plan.valid_to
        )

    def _is_at(self, number: int, found: Found) -> bool:
        stop = self._plan.stops[number - 1]
        return stop.station_id == found.source.station_id and (
            stop.scale_serial is None or stop.scale_serial == found.entry.ticket.scale_serial
        )

    def _arrive(self, number: int, found: Found) -> Iterator[Deviation]:
        before, self._at = self._at, number
        self._met[number] = found
        for expectation in self._plan.expectations:
            if expectation.at == number:
                yield from self._weigh(expectation, before, found)
        if number == self._last:
            self._at = 0  # what comes after the last stop is no part of the run

    def _weigh(self, expected_here: Expectation, before: int, found: Found) -> Iterator[Deviation]:
        since = expected_here.since
        expected = expected_here.grams
        if since is not None:
            if since not in self._met:
                return  # that stop was left out, which is a deviation of its own
            expected += _weight(expected_here.quantity, self._met[since])
        weight = Weighed(
            expected_here.quantity,
            expected,
            _weight(expected_here.quantity, found),
            expected_here.tolerance(expected),
        )
        if abs(weight.difference) > weight.tolerance:
            shown = since if since is not None else before or None
            yield self._deviation(Kind.WEIGHT, expected_here.at, shown, found, weight)

    def _out_of_order(self, found: Found) -> Iterator[Deviation]:
        here = self._at
        later = [n for n in range(here + 2, self._last + 1) if self._is_at(n, found)]
        if later:
            yield self._deviation(Kind.ORDER, later[0], here, found)
            yield from self._arrive(later[0], found)
            return
        earlier = [n for n in range(here - 1, 1, -1) if self._is_at(n, found)]
        if earlier:
            yield self._deviation(Kind.ORDER, earlier[0], here, found)

    def _deviation(
        self, kind: Kind, at: int, since: int | None, found: Found, weight: Weighed | None = None
    ) -> Deviation:
        earlier = self._met[since] if since is not None else None
        return Deviation(self._route, kind, at, since, earlier, found, weight)


class Judges:
    """Holds weighings of any vehicles against the routes that are theirs."""

    def __init__(self, routes: Iterable[ActiveRoute]) -> None:
        self._routes = tuple(routes)
        self._of: dict[str, list[RouteJudge]] = {}

    def take(self, found: Found) -> tuple[Deviation, ...]:
        """The deviations that a weighing shows; give all weighings of a vehicle in order."""
        vehicle = found.entry.ticket.vehicle
        if vehicle is None:
            return ()
        key = normalise_vehicle(vehicle)
        judges = self._of.get(key)
        if judges is None:
            judges = [RouteJudge(one) for one in self._routes if one.pattern.matches(key)]
            self._of[key] = judges
        return tuple(deviation for judge in judges for deviation in judge.take(found))


def _weight(quantity: Quantity, found: Found) -> int:
    ticket = found.entry.ticket
    weights = {Quantity.GROSS: ticket.gross, Quantity.TARE: ticket.tare, Quantity.NET: ticket.net}
    return weights[quantity]
