"""The world of the tickets API's tests: two customers who must not meet, and their tickets."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp.test_utils import TestClient

from fakes import FakeContract, FakeLedger
from steelyard.store.database import Database
from steelyard.store.models import (
    Customer,
    Node,
    NodeRole,
    Role,
    Station,
    StationStatus,
    User,
    Weighbridge,
)
from steelyard.store.row_seal import seal_roster, seal_row
from steelyard.store.vault import Place, Vault


def station_id(name: str) -> str:
    """The id of a station by its name, such as a-1."""
    return f"{name.replace('-', '0').upper():0>26}"


def ticket_json(number: int = 1, scale: str = "WB-a-1", **changes: Any) -> dict[str, Any]:
    """A valid ticket of the station whose scale it names; `number` sets id, time and weight."""
    gross = 10_000 + number
    return {
        "ticketID": f"{scale.removeprefix('WB-')}_1_{number}",
        "terminalSerialNumber": "T1",
        "terminalRestartValue": 1,
        "timestamp": f"2020-11-12T06:{number // 60:02d}:{number % 60:02d}.000Z",
        "scaleSerialNumber": scale,
        "scaleStatus": "ok",
        "scaleGross": gross,
        "scaleTare": 1_000,
        "scaleNet": gross - 1_000,
        "vehicle": "AA-00-BB",
        "cells": [
            {"cellSerialNumber": "LC1", "cellWeight": gross - 5},
            {"cellSerialNumber": "LC2", "cellWeight": 5},
        ],
        **changes,
    }


@dataclass
class World:
    """The API's client, what lies behind it, and a token for everyone."""

    client: TestClient
    database: Database
    vault: Vault
    ledger: FakeLedger
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, who: str | None, method: str, path: str, **arguments: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        async with self.client.request(method, path, headers=headers, **arguments) as response:
            text = await response.text()
            is_json = "json" in response.content_type and "ndjson" not in response.content_type
            return response.status, json.loads(text) if is_json else text


async def populate(world: World, issue: Callable[..., str]) -> None:
    """Write the entities, deploy fake contracts, issue the tokens."""
    async with world.database.session() as session:
        for name, stations in (("a", ("a-1", "a-2")), ("b", ("b-1",))):
            customer = Customer(id=f"{name:0>26}", name=f"Customer {name}")
            ids = [station_id(station) for station in stations]
            customer.roster = seal_roster(world.vault, customer.id, ids)
            session.add(customer)
            await session.flush()
            admin = node(world, f"admin-{name}", NodeRole.ADMIN, customer.id)
            session.add(admin)
            for role in (Role.CUSTOMER_ADMINISTRATOR, Role.CUSTOMER_USER):
                user = User(
                    customer_id=customer.id,
                    login=f"{role.value}@{name}",
                    password_hash="-",
                    role=role,
                )
                session.add(user)
                await session.flush()
                short = "administrator" if role is Role.CUSTOMER_ADMINISTRATOR else "user"
                world.tokens[f"{short} {name}"] = issue(
                    kind="user", subject=user.id, role=role, customer_id=customer.id, epoch=0
                )
            for station in stations:
                row = add_station(world, station, customer.id, admin.tessera_key, session)
                await session.flush()
                session.add(
                    Weighbridge(
                        customer_id=customer.id,
                        station_id=row.id,
                        name="1",
                        scale_serial=f"WB-{station}",
                        max_capacity=60_000_000,
                        scale_interval=20_000,
                    )
                )
                world.ids[station] = row.id
                world.tokens[f"station {station}"] = issue(
                    kind="station",
                    subject=row.id,
                    role=Role.STATION,
                    customer_id=customer.id,
                    epoch=0,
                )
        operator = User(login="root", password_hash="-", role=Role.PLATFORM_ADMINISTRATOR)
        session.add(operator)
        await session.flush()
        world.tokens["operator"] = issue(
            kind="user", subject=operator.id, role=operator.role, customer_id=None, epoch=0
        )


def node(world: World, name: str, role: NodeRole, customer_id: str) -> Node:
    """A node whose URLs the vault holds."""
    row = Node(id=f"{name:0>26}", name=name, role=role, tessera_key=f"key-{name}")
    row.customer_id = customer_id
    row.rpc_url = world.vault.seal_text(Place("nodes", row.id, "rpc_url"), f"http://{name}.test")
    row.tessera_url = world.vault.seal_text(
        Place("nodes", row.id, "tessera_url"), f"http://{name}.test"
    )
    seal_row(world.vault, row)
    return row


def add_station(world: World, name: str, customer_id: str, admin_key: str, session: Any) -> Station:
    """An active station with a contract that its own node and the customer's are parties to."""
    station_node = node(world, f"node-{name}", NodeRole.STATION, customer_id)
    session.add(station_node)
    address = f"0x{len(world.ledger.contracts) + 1:040x}"
    world.ledger.contracts[address] = FakeContract({station_node.tessera_key, admin_key})
    row = Station(id=station_id(name), customer_id=customer_id, name=name, client_id=name)
    row.client_secret_hash = b"-"
    row.status = StationStatus.ACTIVE
    row.node_id = station_node.id
    sealed = {
        "contract_address": address.encode(),
        "account_key": bytes(32),
        "node_url": b"http://node.test",
        "tessera_url": b"http://tessera.test",
        "parties": json.dumps([admin_key]).encode(),
    }
    for column, clear in sealed.items():
        setattr(row, column, world.vault.seal(Place("stations", row.id, column), clear))
    seal_row(world.vault, row)
    session.add(row)
    return row
