"""Brings the platform to what a description says: makes what is missing, moves what moved.

Nothing is deleted but what `remove_station` is told. Each step stands for itself: after a kill
anywhere the same call goes on where it was.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from steelyard.provision.checks import conflicts
from steelyard.provision.client import Management
from steelyard.provision.document import (
    CustomerWanted,
    Description,
    NodeWanted,
    StationWanted,
    WeighbridgeWanted,
)
from steelyard.provision.errors import ProvisioningFailed
from steelyard.provision.secrets import SecretsDirectory
from steelyard.provision.state import Entity, State, read_state

# Stands for what would be made, where nothing is changed.
_TO_COME: Entity = {"id": "", "client_id": None, "client_secret": ""}


@dataclass(slots=True)
class Result:
    """What was done (or, on trial, would be), and the stations by name. It holds no secret."""

    changed: list[str] = field(default_factory=list)
    stations: dict[str, dict[str, Any]] = field(default_factory=dict)


class Provisioner:
    """One provisioning. With `trial` nothing is written, and the result says what would be.

    Everything raises ProvisioningFailed and ConfigurationError.
    """

    def __init__(self, api: Management, secrets: SecretsDirectory, *, trial: bool = False) -> None:
        self._api = api
        self._secrets = secrets
        self._trial = trial
        self.result = Result()

    async def apply(self, wanted: Description) -> None:
        """Make what is missing. Whatever cannot be is told before the first change."""
        state = await read_state(self._api)
        problems = conflicts(wanted, state)
        if problems:
            raise ProvisioningFailed("; ".join(problems))
        for node in wanted.nodes:
            await self._node(node, state)
        for customer in wanted.customers:
            await self._customer(customer, state)
        # Each waits for the block with its contract: side by side they wait once.
        outcomes = await asyncio.gather(
            *(self._station(customer, station, state) for customer, station in wanted.stations()),
            return_exceptions=True,
        )
        _raise_first(outcomes)

    async def new_credentials(self, names: Iterable[str]) -> None:
        """Give these stations new secrets."""
        wanted = sorted(set(names))
        state = await read_state(self._api) if wanted else State()
        for name in wanted:
            station = self._only(state, name)
            if station is None:
                raise ProvisioningFailed(f"station {name}: is not registered")
            await self._renew(station)
            self._tell(station, state.node_of.get(station["id"]))

    async def remove_station(self, name: str) -> None:
        """Take a station out of service. The customer goes on reading its tickets.

        It is disabled first, so that its SmartBox keeps what it has yet to send; then its devices
        and weighbridges go, whose serials may be registered elsewhere, and last the station. One
        that is not there is no error: a removal may be repeated.
        """
        state = await read_state(self._api)
        station = self._only(state, name)
        if station is None:
            self._forget(name)
            return
        station_id = station["id"]
        if station["status"] == "active":
            await self._change("stations", station_id, {"status": "disabled"})
        for plural, found in (("devices", state.devices), ("weighbridges", state.weighbridges)):
            for one in found.values():
                if one["station_id"] == station_id:
                    await self._delete(plural, one["id"])
        await self._delete("stations", station_id)
        self._note(f"station {name} removed")
        self._forget(name)

    async def _node(self, node: NodeWanted, state: State) -> None:
        known = state.nodes.get(node.name)
        if known is None:
            state.nodes[node.name] = await self._create("nodes", node.model_dump())
            self._note(f"node {node.name} registered")
            return
        moved = {
            member: getattr(node, member)
            for member in ("rpc_url", "tessera_url")
            if known[member] != getattr(node, member)
        }
        if moved:
            await self._change("nodes", known["id"], moved)
            self._note(f"node {node.name} moved: {', '.join(moved.values())}")

    async def _customer(self, customer: CustomerWanted, state: State) -> None:
        known = state.customer(customer.name)
        if known is None:
            node = state.nodes[str(customer.admin_node)]
            draft = {"name": customer.name, "admin_node_id": node["id"]}
            known = await self._create("customers", draft)
            state.customers[customer.name.casefold()] = known
            self._note(f"customer {customer.name} registered")
        for user in customer.users:
            if user.login.casefold() in state.users:
                continue
            password = "" if self._trial else self._secrets.password_of(user.login)
            draft = {**user.model_dump(), "customer_id": known["id"], "password": password}
            await self._create("users", draft)
            self._note(f"user {user.login} registered")

    async def _station(
        self, customer: CustomerWanted, station: StationWanted, state: State
    ) -> None:
        owner = state.customers[customer.name.casefold()]
        known = state.station(owner, station.name)
        if known is None:
            draft = {
                "customer_id": owner["id"],
                "name": station.name,
                "node_id": state.nodes[station.node]["id"],
            }
            # What an earlier station left under this file name would be taken for this one's.
            self._forget(station.name)
            known = {**await self._create("stations", draft), "name": station.name}
            if not self._trial:
                self._secrets.keep_station(station.name, known["client_secret"])
            self._note(f"station {station.name} registered")
        elif not self._secrets.station(station.name).exists():
            # Its answer was lost, or the file: nobody can log in as it.
            await self._renew(known)
        self._tell(known, station.node)
        if station.smartbox is not None and state.device(owner, station.smartbox) is None:
            await self._device(known, "smartbox", station.smartbox)
        for bridge in station.weighbridges:
            await self._weighbridge(bridge, owner, known, state)

    async def _weighbridge(
        self, bridge: WeighbridgeWanted, owner: Entity, station: Entity, state: State
    ) -> None:
        known = state.weighbridge(owner, bridge.scale_serial)
        if known is None:
            draft = bridge.model_dump(exclude={"cells"}) | {"station_id": station["id"]}
            known = await self._create("weighbridges", draft)
            self._note(f"weighbridge {bridge.name} of {station['name']} registered")
        for serial in bridge.cells:
            cell = state.device(owner, serial)
            if cell is None:
                await self._device(station, "loadcell", serial, weighbridge_id=known["id"])
            elif cell["weighbridge_id"] != known["id"]:
                await self._change("devices", cell["id"], {"weighbridge_id": known["id"]})
                self._note(f"loadcell {serial} moved to {bridge.name} of {station['name']}")

    async def _device(self, station: Entity, kind: str, serial: str, **place: str) -> None:
        draft = {"station_id": station["id"], "kind": kind, "serial": serial, **place}
        await self._create("devices", draft)
        self._note(f"{kind} {serial} of {station['name']} registered")

    async def _renew(self, station: Entity) -> None:
        """The old secret's file goes first: a file that is there always has the present one."""
        name = station["name"]
        self._forget(name)
        if not self._trial:
            given = await self._api.new_credentials(station["id"])
            self._secrets.keep_station(name, given["client_secret"])
        self._note(f"station {name} has new credentials")

    def _forget(self, name: str) -> None:
        if not self._trial:
            self._secrets.forget_station(name)

    @staticmethod
    def _only(state: State, name: str) -> Entity | None:
        found = state.named(name)
        if len(found) > 1:
            raise ProvisioningFailed(
                f"station {name}: {len(found)} customers have one of this name; "
                "change it by the management API"
            )
        return found[0] if found else None

    def _tell(self, station: Entity, node: str | None) -> None:
        self.result.stations[station["name"]] = {
            "id": station["id"] or None,
            "client_id": station["client_id"],
            "node": node,
            "secret_file": str(self._secrets.station(station["name"])),
        }

    def _note(self, sentence: str) -> None:
        self.result.changed.append(sentence)

    async def _create(self, plural: str, draft: dict[str, Any]) -> Entity:
        if self._trial:
            return draft | _TO_COME
        return await self._api.create(plural, draft)

    async def _change(self, plural: str, entity_id: str, patch: dict[str, Any]) -> None:
        if not self._trial:
            await self._api.change(plural, entity_id, patch)

    async def _delete(self, plural: str, entity_id: str) -> None:
        if not self._trial:
            await self._api.delete(plural, entity_id)


def _raise_first(outcomes: Iterable[object]) -> None:
    """All stations came to their end; then the first that did not succeed is told."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
