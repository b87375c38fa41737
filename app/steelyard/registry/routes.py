"""Routes: where vehicles are weighed one after the other, and what they should weigh."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import InvalidRequest
from steelyard.identity.principal import Principal
from steelyard.registry.entities import Entities, caller_of, check_room, own_customer, unknown
from steelyard.registry.errors import TooMany
from steelyard.registry.fields import EntityId, IdName, Sent, Shown, Switch, kept
from steelyard.route_plan import (
    MAX_EXPECTATIONS,
    MAX_STOPS,
    MAX_WITHIN_SECONDS,
    Expectation,
    Pattern,
    RoutePlan,
    Stop,
)
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import Role, Route, Station, Status, delete_softly, name_key
from steelyard.store.route_seal import open_plan, seal_plan
from steelyard.store.vault import Vault
from steelyard.ticket import Timestamp
from steelyard.web.endpoint import Call
from steelyard.web.pages import Page, PageQuery
from steelyard.web.parsing import field_errors

CUSTOMER_ADMINISTRATORS = frozenset({Role.CUSTOMER_ADMINISTRATOR.value})
CUSTOMERS_PEOPLE = CUSTOMER_ADMINISTRATORS | {Role.CUSTOMER_USER.value}
MAX_ROUTES = 500

_Stops = Annotated[tuple[Stop, ...], Field(min_length=1, max_length=MAX_STOPS, strict=False)]
_Expectations = Annotated[tuple[Expectation, ...], Field(max_length=MAX_EXPECTATIONS, strict=False)]
_Seconds = Annotated[int, Field(ge=1, le=MAX_WITHIN_SECONDS)]


class RouteDraft(RoutePlan):
    """A route to register; it is the caller's customer's."""

    name: IdName


class RoutePatch(Sent):
    """A change of a route. While it is disabled nothing is held against it."""

    name: IdName = kept()
    vehicle: Pattern = kept()
    stops: _Stops = kept()
    expectations: _Expectations = kept()
    within_seconds: _Seconds = kept()
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None
    status: Switch = kept()


class RouteView(RoutePlan, Shown):
    """A route."""

    id: EntityId
    customer_id: EntityId
    name: str
    status: Status


class RouteQuery(PageQuery):
    """Filters of the list of routes."""

    name: IdName | None = None
    status: Switch | None = None


class Routes(Entities[Route]):
    """The routes of the caller's customer. Nobody else sees them, the platform's people included:
    what a customer expects on its trucks is as private as what is weighed.
    """

    table = Route
    kind = "route"
    plural = "routes"
    draft = RouteDraft
    patch = RoutePatch
    view = RouteView
    page = Page[RouteView]
    page_query = RouteQuery
    example: ClassVar[dict[str, Any]] = {
        "name": "quarry-to-plant",
        "vehicle": "BH-*",
        "stops": [
            {"station_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XA"},
            {"station_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XB", "scale_serial": "WB1120102"},
        ],
        "expectations": [{"at": 2, "since": 1, "grams": 0, "tolerance_percent": 0.5}],
        "within_seconds": 14_400,
    }
    readers = CUSTOMERS_PEOPLE
    writers = CUSTOMER_ADMINISTRATORS
    creators = CUSTOMER_ADMINISTRATORS
    problems = (TooMany,)

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database)
        self._vault = vault

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """One's customer's."""
        return own_customer(caller, Route.customer_id)

    def filters(self, query: RouteQuery) -> list[ColumnElement[bool]]:
        """By name and status: the rest of a route is sealed."""
        conditions: list[ColumnElement[bool]] = []
        if query.name is not None:
            conditions.append(Route.name_key == name_key(query.name))
        if query.status is not None:
            conditions.append(Route.status == Status(query.status))
        return conditions

    def show(self, row: Route) -> RouteView:
        """The route. Raises VaultTampered."""
        plan = open_plan(self._vault, row)
        entity = {name: getattr(row, name) for name in set(RouteView.model_fields) - _PLAN}
        return RouteView.model_construct(**dict(plan), **entity)

    async def build(self, session: AsyncSession, call: Call[RouteDraft, Any]) -> Route:
        """A route over the caller's customer's stations."""
        draft, customer_id = call.body, caller_of(call).customer_id or ""
        await check_room(session, Route, customer_id, MAX_ROUTES)
        plan = RoutePlan.model_construct(**{name: getattr(draft, name) for name in _PLAN})
        await _check_stations(session, customer_id, plan)
        row = Route(id=new_id(), customer_id=customer_id, name=draft.name, status=Status.ACTIVE)
        seal_plan(self._vault, row, plan)
        return row

    async def change(self, session: AsyncSession, row: Route, patch: RoutePatch) -> None:
        """Anything of it; what is kept and what is new must agree."""
        before = open_plan(self._vault, row)
        if not patch.model_fields_set:
            return
        sent = {name: getattr(patch, name) for name in patch.model_fields_set}
        try:
            plan = RoutePlan.model_validate(dict(before) | {k: sent[k] for k in sent if k in _PLAN})
        except ValidationError as error:
            raise InvalidRequest(
                "The route would break the rules of routes.", errors=field_errors(error, RoutePlan)
            ) from None
        if "stops" in sent:
            await _check_stations(session, row.customer_id, plan)
        row.name = sent.get("name", row.name)
        row.status = Status(sent.get("status", row.status))
        seal_plan(self._vault, row, plan)

    async def remove(self, session: AsyncSession, row: Route) -> None:
        """Delete it; deviations from it are no longer found."""
        del session
        plan = open_plan(self._vault, row)
        delete_softly(row)
        seal_plan(self._vault, row, plan)


_PLAN = set(RoutePlan.model_fields)


async def _check_stations(session: AsyncSession, customer_id: str, plan: RoutePlan) -> None:
    """Raise InvalidRequest for a stop at a station that is not the customer's."""
    wanted = {stop.station_id for stop in plan.stops}
    known = set(
        await session.scalars(
            select(Station.id).where(
                Station.id.in_(wanted),
                Station.customer_id == customer_id,
                Station.deleted_at.is_(None),
            )
        )
    )
    for place, stop in enumerate(plan.stops):
        if stop.station_id not in known:
            raise unknown(f"stops.{place}.station_id", "station")
