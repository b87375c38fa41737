"""A SmartBox's configuration, from what is registered of its station."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.registry.enrolment.models import StationConfiguration, WeighbridgeCells
from steelyard.registry.errors import NotEnrollable
from steelyard.store.models import Device, DeviceKind, Station, Status, Weighbridge
from steelyard.ticket import MAX_CELLS


async def configuration_of(
    session: AsyncSession, station: Station, tickets_url: str, client_secret: str
) -> StationConfiguration:
    """The configuration. Raises NotEnrollable for a station that no SmartBox could run."""
    bridges = await session.scalars(
        select(Weighbridge)
        .where(Weighbridge.station_id == station.id, Weighbridge.status == Status.ACTIVE)
        .order_by(Weighbridge.id)
    )
    cells = await session.execute(
        select(Device.weighbridge_id, Device.serial)
        .where(
            Device.station_id == station.id,
            Device.kind == DeviceKind.LOADCELL,
            Device.status == Status.ACTIVE,
        )
        .order_by(Device.id)
    )
    below: dict[str | None, list[str]] = {}
    for bridge_id, serial in cells:
        below.setdefault(bridge_id, []).append(serial)
    return StationConfiguration(
        station=station.name,
        station_id=station.id,
        client_id=station.client_id,
        client_secret=client_secret,
        tickets_url=tickets_url,
        weighbridges=_described(station, list(bridges), below),
    )


def _described(
    station: Station, bridges: list[Weighbridge], below: dict[str | None, list[str]]
) -> list[WeighbridgeCells]:
    if not bridges:
        raise NotEnrollable(f"Station {station.name} has no weighbridge: register it first.")
    for bridge in bridges:
        count = len(below.get(bridge.id, ()))
        if not 1 <= count <= MAX_CELLS:
            raise NotEnrollable(
                f"Weighbridge {bridge.name} stands on {count} load cells: register 1 to "
                f"{MAX_CELLS} of them first, with their serials."
            )
        # OIML R 76-1, 4.2.2.1.
        if str(bridge.scale_interval).rstrip("0") not in {"1", "2", "5"}:
            raise NotEnrollable(
                f"Weighbridge {bridge.name} has the scale interval {bridge.scale_interval} g: "
                "it must be 1, 2 or 5 times a power of ten."
            )
    return [
        WeighbridgeCells(
            name=bridge.name,
            scale_serial=bridge.scale_serial,
            scale_interval_grams=bridge.scale_interval,
            max_capacity_grams=bridge.max_capacity,
            cells=below[bridge.id],
        )
        for bridge in bridges
    ]
