"""Devices: a station's SmartBox, and the load cells under its weighbridges."""

from typing import Any, ClassVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import FieldError, InvalidRequest
from steelyard.identity.principal import Principal
from steelyard.registry.enrolment.cutting_off import cut_off
from steelyard.registry.entities import (
    ADMINISTRATORS,
    EVERYBODY,
    Entities,
    caller_of,
    own_customer,
    set_fields,
    unknown,
)
from steelyard.registry.fields import EntityId, Fingerprint, Sent, Shown, Switch, kept
from steelyard.registry.weighbridges import station_named
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import Device, DeviceKind, Role, Status, Weighbridge, delete_softly
from steelyard.store.vault import Vault
from steelyard.ticket import Serial
from steelyard.web.endpoint import Call
from steelyard.web.pages import Page, PageQuery


class DeviceDraft(Sent):
    """A device to register: a load cell names its weighbridge, a SmartBox none."""

    station_id: EntityId
    kind: DeviceKind
    serial: Serial
    weighbridge_id: EntityId | None = None
    certificate_fingerprint: Fingerprint | None = None


class DevicePatch(Sent):
    """A change of a device: another certificate (or null: none), another weighbridge."""

    weighbridge_id: EntityId = kept()
    certificate_fingerprint: Fingerprint | None = kept()
    status: Switch = kept()


class DeviceView(Shown):
    """A device."""

    id: EntityId
    customer_id: EntityId
    station_id: EntityId
    weighbridge_id: EntityId | None
    kind: DeviceKind
    serial: str
    certificate_fingerprint: str | None
    status: Status


class DeviceQuery(PageQuery):
    """Filters of the list of devices."""

    customer_id: EntityId | None = None
    station_id: EntityId | None = None
    weighbridge_id: EntityId | None = None
    kind: DeviceKind | None = None
    serial: Serial | None = None
    status: Switch | None = None


class Devices(Entities[Device]):
    """The devices; a station sees its own, the others their customer's."""

    table = Device
    kind = "device"
    plural = "devices"
    draft = DeviceDraft
    patch = DevicePatch
    view = DeviceView
    page = Page[DeviceView]
    page_query = DeviceQuery
    example: ClassVar[dict[str, Any]] = {
        "station_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XA",
        "kind": "loadcell",
        "serial": "LC112010201",
        "weighbridge_id": "01JD3ZQ8J1T6Y0V8M4N2K7R5XB",
    }
    readers = EVERYBODY
    writers = ADMINISTRATORS
    creators = ADMINISTRATORS

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database)
        self._vault = vault

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """A station's own, or one's customer's."""
        if caller.role is Role.STATION:
            return Device.station_id == caller.id
        return own_customer(caller, Device.customer_id)

    def filters(self, query: DeviceQuery) -> list[ColumnElement[bool]]:
        """By customer, station, weighbridge, kind, serial and status."""
        names = ("customer_id", "station_id", "weighbridge_id", "kind", "serial")
        wanted = {name: getattr(query, name) for name in names}
        conditions: list[ColumnElement[bool]] = [
            getattr(Device, name) == value for name, value in wanted.items() if value is not None
        ]
        if query.status is not None:
            conditions.append(Device.status == Status(query.status))
        return conditions

    def show(self, row: Device) -> DeviceView:
        """The device."""
        return DeviceView.model_validate(row, from_attributes=True)

    async def build(self, session: AsyncSession, call: Call[DeviceDraft, Any]) -> Device:
        """A device of a station that the caller may see."""
        draft = call.body
        station = await station_named(session, caller_of(call), draft.station_id)
        if (draft.kind is DeviceKind.LOADCELL) != (draft.weighbridge_id is not None):
            raise _misplaced()
        if draft.weighbridge_id is not None:
            await _check_place(session, station.id, draft.weighbridge_id)
        return Device(
            id=new_id(),
            customer_id=station.customer_id,
            station_id=station.id,
            weighbridge_id=draft.weighbridge_id,
            kind=draft.kind,
            serial=draft.serial,
            certificate_fingerprint=draft.certificate_fingerprint,
        )

    async def change(self, session: AsyncSession, row: Device, patch: DevicePatch) -> None:
        """Place, certificate and status. A disabled device's certificates are revoked for good."""
        if "weighbridge_id" in patch.model_fields_set:
            if row.kind is not DeviceKind.LOADCELL:
                raise _misplaced()
            await _check_place(session, row.station_id, patch.weighbridge_id)
        set_fields(row, patch, "weighbridge_id", "certificate_fingerprint")
        if "status" in patch.model_fields_set:
            row.status = Status(patch.status)
            if row.status is Status.DISABLED:
                await cut_off(session, self._vault, row, "device-disabled")

    async def remove(self, session: AsyncSession, row: Device) -> None:
        """Delete it, and revoke its certificates."""
        delete_softly(row)
        await cut_off(session, self._vault, row, "device-deleted")


async def _check_place(session: AsyncSession, station_id: str, weighbridge_id: str) -> None:
    found = await session.scalar(
        select(Weighbridge.id)
        .where(
            Weighbridge.id == weighbridge_id,
            Weighbridge.station_id == station_id,
            Weighbridge.deleted_at.is_(None),
        )
        .with_for_update(read=True)
    )
    if found is None:
        raise unknown("weighbridge_id", "weighbridge")


def _misplaced() -> InvalidRequest:
    return InvalidRequest(
        "A load cell belongs to a weighbridge, a SmartBox to none.",
        errors=[FieldError("weighbridge_id", "must be given for a loadcell, and only for one")],
    )
