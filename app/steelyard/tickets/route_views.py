"""The routes of the tickets API about vehicles on their routes."""

from typing import Any

from steelyard.ledger.errors import NodeUnavailable, PrivacyManagerUnavailable
from steelyard.ticket import Vehicle
from steelyard.tickets.cursor import Place
from steelyard.tickets.directory import Directory
from steelyard.tickets.errors import RouteTooBusy
from steelyard.tickets.judge import Deviation
from steelyard.tickets.known_routes import KnownRoutes
from steelyard.tickets.route_models import (
    DeviationPage,
    DeviationParameters,
    DeviationShown,
    RouteParameters,
    VehicleRoute,
    WeighingShown,
    WeightShown,
)
from steelyard.tickets.route_search import (
    Flags,
    JudgedWeighing,
    RoutePage,
    RouteQuestion,
    RouteSearch,
)
from steelyard.tickets.service import found_ticket
from steelyard.tickets.views import USERS, customer_of
from steelyard.vehicles import normalise_vehicle
from steelyard.web.endpoint import Call, Endpoint, Reply, Response
from steelyard.web.errors import BadCursor

_PROBLEMS = (NodeUnavailable, PrivacyManagerUnavailable, BadCursor, RouteTooBusy)


class RouteViews:
    """Handlers over a `RouteSearch`. The caller's customer comes from the token."""

    def __init__(self, directory: Directory, known: KnownRoutes, search: RouteSearch) -> None:
        self._directory = directory
        self._known = known
        self._search = search

    async def vehicle(self, call: Call[Any, RouteParameters]) -> Reply:
        """A vehicle's weighings."""
        name, query = call.path["vehicle"], call.query
        page = await self._page(
            call,
            RouteQuestion(
                name,
                query.match,
                query.flags,
                query.timestamp_from,
                query.timestamp_to,
                _after(query),
                query.limit,
            ),
        )
        shown = tuple(map(_weighing, page.weighings))
        return Reply(
            VehicleRoute(
                vehicle=name,
                normalised=normalise_vehicle(name),
                count=len(shown),
                weighings=shown,
                next=_next(page),
            )
        )

    async def deviations(self, call: Call[Any, DeviationParameters]) -> Reply:
        """Deviations of all vehicles."""
        query = call.query
        page = await self._page(
            call,
            RouteQuestion(
                None,
                flags=Flags.ONLY,
                timestamp_from=query.timestamp_from,
                timestamp_to=query.timestamp_to,
                after=_after(query),
                limit=query.limit,
            ),
        )
        shown = tuple(map(_weighing, page.weighings))
        return Reply(DeviationPage(count=len(shown), weighings=shown, next=_next(page)))

    async def _page(self, call: Call[Any, Any], question: RouteQuestion) -> RoutePage:
        customer = customer_of(call)
        routes = () if question.flags is Flags.NONE else await self._known.of(customer)
        sources = await self._directory.sources(customer)
        return await self._search.page(sources, routes, question)

    def endpoints(self) -> list[Endpoint]:
        """The two of them."""
        description = (
            "A page may be short, even empty, and still have a `next`: go on with it. Deviations "
            "are found anew at each request, so a ticket that comes late changes them."
        )
        return [
            Endpoint(
                method="GET",
                path="/v1/vehicles/{vehicle}/route",
                parameters={"vehicle": Vehicle},
                handler=self.vehicle,
                operation_id="getVehicleRoute",
                tag="routes",
                summary="Get a vehicle's weighings at all stations, in the order of time",
                description=description,
                query=RouteParameters,
                roles=USERS,
                responses={200: Response.json(VehicleRoute, "A page.")},
                problems=_PROBLEMS,
            ),
            Endpoint(
                method="GET",
                path="/v1/deviations",
                handler=self.deviations,
                operation_id="listDeviations",
                tag="routes",
                summary="List the weighings of all vehicles that deviate from their routes",
                description=description,
                query=DeviationParameters,
                roles=USERS,
                responses={200: Response.json(DeviationPage, "A page.")},
                problems=_PROBLEMS,
            ),
        ]


def _after(query: DeviationParameters) -> Place | None:
    return Place.decode(query.cursor, newest_first=False) if query.cursor else None


def _next(page: RoutePage) -> str | None:
    return page.next.encode(newest_first=False) if page.next else None


def _weighing(judged: JudgedWeighing) -> WeighingShown:
    return WeighingShown(
        ticket=found_ticket(judged.found),
        deviations=tuple(map(_deviation, judged.deviations)),
    )


def _deviation(one: Deviation) -> DeviationShown:
    weight = one.weight
    return DeviationShown(
        route_id=one.route.id,
        route=one.route.name,
        kind=one.kind,
        stop=one.at,
        since_stop=one.since,
        weight=WeightShown(
            quantity=weight.quantity,
            expected=weight.expected,
            found=weight.found,
            difference=weight.difference,
            tolerance=weight.tolerance,
        )
        if weight
        else None,
        tickets=tuple(found_ticket(found) for found in (one.earlier, one.later) if found),
    )
