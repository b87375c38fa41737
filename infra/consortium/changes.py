"""What a change of the description means: stations that leave, and what they leave behind."""

from collections.abc import Collection
from typing import Any

from infra.consortium.errors import InvalidConsortium
from infra.consortium.models import ConsortiumSpec, CustomerSpec, StationSpec


def without(
    spec: ConsortiumSpec,
    *,
    network: Collection[str] = (),
    customers: Collection[str] = (),
    stations: Collection[str] = (),
) -> ConsortiumSpec:
    """The description without some nodes of the network, customers and stations, by name."""
    return spec.model_copy(
        update={
            "network": [one for one in spec.network if one.name not in network],
            "customers": [
                customer.model_copy(
                    update={
                        "stations": [one for one in customer.stations if one.name not in stations]
                    }
                )
                for customer in spec.customers
                if customer.name not in customers
            ],
        }
    )


def without_station(spec: ConsortiumSpec, name: str) -> ConsortiumSpec:
    """The description without a station. Raises InvalidConsortium when it has none of the name."""
    named(spec, "station", name)
    return without(spec, stations={name})


def leaving(spec: ConsortiumSpec, name: str) -> dict[str, Any]:
    """A station's hosts, node and devices. Raises InvalidConsortium when there is none of the name.

    `cell_hosts` are the hosts of its load cells; `certificates` are kind and name of what is to be
    revoked when it leaves.
    """
    customer, station = _find(spec, name)
    cells = [cell for bridge in station.weighbridges for cell in bridge.cells]
    certificates = [{"kind": "loadcell", "name": cell.serial} for cell in cells]
    if station.smartbox:
        certificates.append({"kind": "smartbox", "name": station.smartbox.serial})
    return {
        "customer": customer.name,
        "node": station.node.name,
        "node_host": station.node.host,
        "smartbox_host": station.smartbox.host if station.smartbox else None,
        "cell_hosts": sorted({cell.host for cell in cells if cell.host}),
        "certificates": certificates,
    }


def named(spec: ConsortiumSpec, kind: str, name: str) -> str:
    """The name, when the description has a `kind` (customer, station) of it.

    Raises InvalidConsortium, which says what there is.
    """
    if kind == "customer":
        names = [customer.name for customer in spec.customers]
    else:
        names = [one.name for customer in spec.customers for one in customer.stations]
    if name in names:
        return name
    there = ", ".join(names) or "none"
    asked = name or "(none given)"
    raise InvalidConsortium([f"there is no {kind} {asked} in the description: it has {there}"])


def _find(spec: ConsortiumSpec, name: str) -> tuple[CustomerSpec, StationSpec]:
    named(spec, "station", name)
    return next(
        (customer, station)
        for customer in spec.customers
        for station in customer.stations
        if station.name == name
    )
