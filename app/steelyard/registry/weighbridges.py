"""Weighbridges of stations."""

from typing import Any, ClassVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import FieldError, InvalidRequest
from steelyard.identity.principal import Principal
from steelyard.registry.entities import (
    ADMINISTRATORS,
    EVERYBODY,
    Entities,
    caller_of,
    own_customer,
    set_fields,
    unknown,
)
from steelyard.registry.errors import WeighbridgeInUse
from steelyard.registry.fields import Capacity, EntityId, IdName, Sent, Shown, Switch, kept
from steelyard.store.identifiers import new_id
from steelyard.store.models import (
    Device,
    Role,
    Station,
    Status,
    Weighbridge,
    delete_softly,
    name_key,
)
from steelyard.ticket import Serial
from steelyard.web.endpoint import Call
from steelyard.web.pages import Page, PageQuery


class WeighbridgeDraft(Sent):
    """A weighbridge to register. The scale serial is what its tickets say; it never changes."""

    station_id: EntityId
    name: IdName
    scale_serial: Serial
    max_capacity: Capacity
    scale_interval: Capacity


class WeighbridgePatch(Sent):
    """A change of a weighbridge."""

    max_capacity: Capacity = kept()
    scale_interval: Capacity = kept()
    status: Switch = kept()


class WeighbridgeView(Shown):
    """A weighbridge; `max_capacity` (Max) and `scale_interval` (e) are in grams (OIML R 76)."""

    id: EntityId
    customer_id: EntityId
    station_id: EntityId
    name: str
    scale_serial: str
    max_capacity: int
    scale_interval: int
    status: Status


class WeighbridgeQuery(PageQuery):
    """Filters of the list of weighbridges."""

    customer_id: EntityId | None = None
    station_id: EntityId | None = None
    scale_serial: Serial | None = None
    status: Switch | None = None


class Weighbridges(Entities[Weighbridge]):
    """The weighbridges; a station sees its own, the others their customer's."""

    table = Weighbridge
    kind = "weighbridge"
    plural = "weighbridges"
    draft = WeighbridgeDraft
    patch = WeighbridgePatch
    view = WeighbridgeView
    page = Page[WeighbridgeView]
    page_query = WeighbridgeQuery
    example: ClassVar[dict[str, Any]] = {
        "station_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XA",
        "name": "station-1-wb-2",
        "scale_serial": "WB1120102",
        "max_capacity": 60_000_000,
        "scale_interval": 20_000,
    }
    readers = EVERYBODY
    writers = ADMINISTRATORS
    creators = ADMINISTRATORS
    problems = (WeighbridgeInUse,)

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """A station's own, or one's customer's."""
        if caller.role is Role.STATION:
            return Weighbridge.station_id == caller.id
        return own_customer(caller, Weighbridge.customer_id)

    def filters(self, query: WeighbridgeQuery) -> list[ColumnElement[bool]]:
        """By customer, station, scale serial and status."""
        conditions: list[ColumnElement[bool]] = []
        if query.customer_id is not None:
            conditions.append(Weighbridge.customer_id == query.customer_id)
        if query.station_id is not None:
            conditions.append(Weighbridge.station_id == query.station_id)
        if query.scale_serial is not None:
            conditions.append(Weighbridge.scale_serial == query.scale_serial)
        if query.status is not None:
            conditions.append(Weighbridge.status == Status(query.status))
        return conditions

    def show(self, row: Weighbridge) -> WeighbridgeView:
        """The weighbridge."""
        return WeighbridgeView.model_validate(row, from_attributes=True)

    async def build(self, session: AsyncSession, call: Call[WeighbridgeDraft, Any]) -> Weighbridge:
        """A weighbridge of a station that the caller may see."""
        draft = call.body
        station = await station_named(session, caller_of(call), draft.station_id)
        row = Weighbridge(
            id=new_id(),
            customer_id=station.customer_id,
            station_id=station.id,
            name=draft.name,
            name_key=name_key(draft.name),
            scale_serial=draft.scale_serial,
            max_capacity=draft.max_capacity,
            scale_interval=draft.scale_interval,
        )
        _check_interval(row)
        return row

    async def change(
        self, session: AsyncSession, row: Weighbridge, patch: WeighbridgePatch
    ) -> None:
        """Capacity, interval and status."""
        del session
        set_fields(row, patch, "max_capacity", "scale_interval")
        if "status" in patch.model_fields_set:
            row.status = Status(patch.status)
        _check_interval(row)

    async def remove(self, session: AsyncSession, row: Weighbridge) -> None:
        """Delete it. Raises WeighbridgeInUse while it stands on load cells."""
        serials = await session.scalars(
            select(Device.serial)
            .where(Device.weighbridge_id == row.id, Device.deleted_at.is_(None))
            .order_by(Device.serial)
            .limit(32)
        )
        if found := list(serials):
            raise WeighbridgeInUse(f"Its load cells are {', '.join(found)}.")
        delete_softly(row)


def _check_interval(row: Weighbridge) -> None:
    if row.scale_interval > row.max_capacity:
        raise InvalidRequest(
            "The scale interval is larger than the capacity.",
            errors=[FieldError("scale_interval", "must be at most max_capacity")],
        )


async def station_named(session: AsyncSession, caller: Principal, station_id: str) -> Station:
    """The station that a body names. Raises InvalidRequest if the caller may not see it."""
    station = await session.scalar(
        select(Station)
        .where(
            Station.id == station_id,
            Station.deleted_at.is_(None),
            own_customer(caller, Station.customer_id),
        )
        .with_for_update(read=True)  # it must not be deleted meanwhile
    )
    if station is None:
        raise unknown("station_id", "station")
    return station
