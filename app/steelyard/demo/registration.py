"""Registers the experiment's entities through the management API, as an administrator would."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.demo.client import ApiClient
from steelyard.demo.errors import DemoFailed
from steelyard.demo.plan import MAX_CAPACITY_GRAMS, Plan, StationPlan
from steelyard.demo.workspace import StationLogIn
from steelyard.new_password import make_password


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node of network.json."""

    name: str
    rpc_url: str
    tessera_url: str
    tessera_public_key: str


@dataclass(frozen=True, slots=True)
class UserLogIn:
    """A user of a customer."""

    login: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Registered:
    """What the management API gave: identifiers by name, log-ins."""

    customers: dict[str, str] = field(default_factory=dict)
    users: dict[str, UserLogIn] = field(default_factory=dict)
    stations: dict[str, str] = field(default_factory=dict)
    log_ins: dict[str, StationLogIn] = field(default_factory=dict)
    contracts: dict[str, str] = field(default_factory=dict)


def read_network(path: Path) -> tuple[str, list[NodeEntry]]:
    """The engine's name and its nodes."""
    document = json.loads(path.read_text("utf-8"))
    members = ("name", "rpc_url", "tessera_url", "tessera_public_key")
    nodes = [NodeEntry(*(node[member] for member in members)) for node in document["nodes"]]
    return str(document.get("engine", "quorum")), nodes


async def register_all(api: ApiClient, plan: Plan, nodes: list[NodeEntry]) -> Registered:
    """Nodes, customers with a user each, stations with weighbridges and devices."""
    if len(nodes) < plan.nodes:
        raise DemoFailed(f"the network has {len(nodes)} nodes; this file needs {plan.nodes}")
    registered = Registered()
    admins = 1 + len(plan.customers)
    for position, node in enumerate(nodes[: plan.nodes]):
        role = "network" if position == 0 else "admin" if position < admins else "station"
        body = {
            "name": node.name,
            "role": role,
            "rpc_url": node.rpc_url,
            "tessera_url": node.tessera_url,
            "tessera_public_key": node.tessera_public_key,
        }
        await api.expect(201, "POST", "/v1/nodes", body=body)
    for number, customer in enumerate(plan.customers, start=1):
        made = await api.expect(201, "POST", "/v1/customers", body={"name": customer})
        registered.customers[customer] = made["id"]
        login = f"user@customer-{number}.example"
        user = UserLogIn(login, make_password(login))
        body = {
            "login": user.login,
            "password": user.password,
            "role": "customer-user",
            "customer_id": made["id"],
        }
        await api.expect(201, "POST", "/v1/users", body=body)
        registered.users[customer] = user
    # Each waits for the block that deploys its contract: side by side they wait once.
    await asyncio.gather(
        *(_register_station(api, station, registered) for station in plan.stations)
    )
    return registered


async def _register_station(api: ApiClient, station: StationPlan, registered: Registered) -> None:
    draft = {"customer_id": registered.customers[station.customer], "name": station.name}
    made = await api.expect(201, "POST", "/v1/stations", body=draft)
    registered.stations[station.name] = made["id"]
    registered.log_ins[station.name] = StationLogIn(made["client_id"], made["client_secret"])
    smartbox = {
        "station_id": made["id"],
        "kind": "smartbox",
        "serial": f"SB-{station.part.terminal_serial}",
    }
    await api.expect(201, "POST", "/v1/devices", body=smartbox)
    for bridge in station.weighbridges:
        body: dict[str, Any] = {
            "station_id": made["id"],
            "name": bridge.name,
            "scale_serial": bridge.scale_serial,
            "max_capacity": max(MAX_CAPACITY_GRAMS, bridge.greatest_gross),
            "scale_interval": bridge.scale_interval_grams,
        }
        weighbridge = await api.expect(201, "POST", "/v1/weighbridges", body=body)
        for serial in bridge.cells:
            cell = {
                "station_id": made["id"],
                "weighbridge_id": weighbridge["id"],
                "kind": "loadcell",
                "serial": serial,
            }
            await api.expect(201, "POST", "/v1/devices", body=cell)
