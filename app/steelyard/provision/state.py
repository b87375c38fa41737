"""What the platform knows: read once, then looked up by the names that a description has."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from steelyard.provision.client import Management
from steelyard.provision.document import folded

Entity = dict[str, Any]


@dataclass(slots=True)
class State:
    """The platform's entities. `node_of` has the node's name of each station, by its id."""

    nodes: dict[str, Entity] = field(default_factory=dict)
    customers: dict[str, Entity] = field(default_factory=dict)
    users: dict[str, Entity] = field(default_factory=dict)
    stations: dict[tuple[str, str], Entity] = field(default_factory=dict)
    weighbridges: dict[tuple[str, str], Entity] = field(default_factory=dict)
    devices: dict[tuple[str, str], Entity] = field(default_factory=dict)
    node_of: dict[str, str] = field(default_factory=dict)

    def customer(self, name: str) -> Entity | None:
        """A customer by name."""
        return self.customers.get(folded(name))

    def station(self, customer: Entity | None, name: str) -> Entity | None:
        """A customer's station by name; one that is not registered completely is none."""
        found = self.stations.get((customer["id"], folded(name))) if customer else None
        return found if found is None or found["status"] != "pending" else None

    def named(self, name: str) -> list[Entity]:
        """Every customer's stations of this name."""
        return [one for (_, key), one in self.stations.items() if key == folded(name)]

    def weighbridge(self, customer: Entity | None, scale_serial: str) -> Entity | None:
        """A customer's weighbridge by its scale's serial."""
        return self.weighbridges.get((customer["id"], scale_serial)) if customer else None

    def device(self, customer: Entity | None, serial: str) -> Entity | None:
        """A customer's device by its serial."""
        return self.devices.get((customer["id"], serial)) if customer else None

    def admin_node(self, customer: Entity) -> Entity | None:
        """The node at which a customer reads its tickets."""
        for node in self.nodes.values():
            if node["role"] == "admin" and node["customer_id"] == customer["id"]:
                return node
        return None


async def read_state(api: Management) -> State:
    """Everything that there is. Raises ProvisioningFailed."""
    nodes, customers, users, stations, weighbridges, devices = await asyncio.gather(
        *map(api.entities, ("nodes", "customers", "users", "stations", "weighbridges", "devices"))
    )
    at = await asyncio.gather(*(api.entities("nodes", station_id=one["id"]) for one in stations))
    return State(
        nodes={one["name"]: one for one in nodes},
        customers={folded(one["name"]): one for one in customers},
        users={folded(one["login"]): one for one in users},
        stations={(one["customer_id"], folded(one["name"])): one for one in stations},
        weighbridges={(one["customer_id"], one["scale_serial"]): one for one in weighbridges},
        devices={(one["customer_id"], one["serial"]): one for one in devices},
        node_of={
            station["id"]: found[0]["name"]
            for station, found in zip(stations, at, strict=True)
            if found
        },
    )
