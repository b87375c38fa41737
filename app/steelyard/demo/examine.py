"""Looks at the finished experiment: queries, privacy, a proof, tampering, the capture."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from steelyard.demo.attempts import (
    NodeAddress,
    Secret,
    party_at_node,
    stranger_at_api,
    stranger_at_node,
)
from steelyard.demo.client import ApiClient
from steelyard.demo.compare import differences, summary, ticket_id
from steelyard.demo.nodes import node_at
from steelyard.demo.plan import StationPlan
from steelyard.demo.result import Finding, StationResult
from steelyard.demo.stage import Stage
from steelyard.demo.tampering import ContractTampering, tamper_with_alibi, tamper_with_database
from steelyard.ledger.protocol import ContractView, ContractWriter
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.reading import Reader
from steelyard.ledger.settings import LedgerSettings
from steelyard.loadcell.sender import encode_reading
from steelyard.loadcell.source import Reading
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.recorder import OUTBOX_FILE
from steelyard.store.database import Database
from steelyard.store.settings import StoreSettings, VaultSettings
from steelyard.store.vault import Vault
from steelyard.ticket import Receipt, Ticket
from steelyard.tickets.directory import Directory
from steelyard.weighings import Weighing

PAGE = 500
MIN_NEEDLE = 7


class Examination:
    """Fills the stage's result; the order matters, as tampering comes last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._result = stage.result
        self._users: dict[str, ApiClient] = {}
        self._tickets: dict[str, list[dict[str, Any]]] = {}
        self._receipts: dict[str, list[Receipt]] = {}
        self._writers: dict[str, ContractWriter] = {}
        # Each station's contract as its customer's administrator node shows it.
        self._views: dict[str, ContractView] = {}

    async def run(self) -> None:
        """Everything that the demo shows."""
        await self._log_in()
        await self._query()
        self._read_receipts()
        await self._read_directory()
        await self._check_receipts()
        async with self._ledger() as ledger:
            await self._attempt()
            await self._prove(ledger)
            await self._tamper(ledger)
        if self._stage.capture is not None:
            await self._look_at_capture()

    async def _log_in(self) -> None:
        for customer, user in self._stage.registered.users.items():
            client = self._stage.tickets_client()
            await client.log_in(user.login, user.password, self._stage.management)
            self._users[customer] = client

    async def _query(self) -> None:
        for customer, client in self._users.items():
            tickets = await client.every("/v1/tickets", "tickets", limit=str(PAGE))
            self._tickets[customer] = tickets
            self._result.customers[customer] = len(tickets)
            expected = self._stage.plan.expected(customer)
            self._result.differences += differences(self._stage.plan.stations_of(customer), tickets)
            counted = await client.expect(200, "GET", "/v1/ticket-count")
            self._check(
                f"{customer}'s query returns its tickets, no others",
                f"{expected}, counted in the contracts as well",
                f"{len(tickets)}, counted {counted['count']}",
                len(tickets) == counted["count"] == expected,
            )
        found = self._result.differences
        self._check(
            "every ticket equals its row of the file, field by field",
            "no difference",
            summary(found) if found else f"{self._stage.plan.weighings} tickets compared",
            not found,
        )

    def _read_receipts(self) -> None:
        for station in self._stage.plan.stations:
            path = self._stage.workspace.station(station.name) / "data" / OUTBOX_FILE
            outbox = Outbox.open_for_reading(path)
            self._receipts[station.name] = list(outbox.receipts())
            outbox.close()
            tickets = [
                ticket
                for ticket in self._tickets[station.customer]
                if ticket["station"] == station.name
            ]
            self._result.stations.append(
                StationResult(
                    station=station.name,
                    customer=station.customer,
                    weighings=len(station.weighings),
                    tickets=len(tickets),
                    receipts=len(self._receipts[station.name]),
                )
            )

    async def _check_receipts(self) -> None:
        """Hold every stored receipt against the one that the ledger itself gives for its ticket."""
        for station in self._stage.plan.stations:
            ids = [ticket_id(weighing) for weighing in station.weighings]
            stored = {receipt.ticket_id: receipt for receipt in self._receipts[station.name]}
            view = self._views[station.name]
            reader = Reader(view, node_at(self._stage.session, view.node, LedgerSettings()))
            found = await reader.receipts(ids)
            equal = sum(stored.get(name) == found.get(name) is not None for name in ids)
            self._check(
                f"{station.name}'s SmartBox has the ledger's receipt for each of its weighings",
                f"{len(ids)}, equal in hash and block",
                f"{len(stored)} stored, {equal} equal, asked at {view.node.name}",
                equal == len(ids) == len(stored),
            )

    async def _read_directory(self) -> None:
        workspace = self._stage.workspace
        database = Database(StoreSettings.load(workspace.platform_config))
        vault = Vault.load(VaultSettings.load(workspace.platform_config).key_ring_file)
        directory = Directory(database, vault)
        for name, identifier in self._stage.registered.stations.items():
            self._writers[name] = (await directory.station(identifier)).writer
        for identifier in self._stage.registered.customers.values():
            for source in await directory.sources(identifier):
                self._views[source.station_name] = source.view
        await database.dispose()

    @asynccontextmanager
    async def _ledger(self) -> AsyncIterator[QuorumLedger]:
        ledger = QuorumLedger(self._stage.session, LedgerSettings())
        try:
            yield ledger
        finally:
            await ledger.close()

    async def _attempt(self) -> None:
        plan, session = self._stage.plan, self._stage.session
        station = plan.stations[0]
        secret = self._secret(station)
        own = self._writers[station.name].view.node
        admin = self._admin_node(station.customer)
        self._result.checks += [
            await party_at_node(session, station.name, NodeAddress(own.name, own.rpc_url), secret),
            await party_at_node(session, station.customer, admin, secret),
        ]
        others = [one for one in plan.customers if one != station.customer]
        sisters = [one for one in plan.stations if one is not station]
        # A sister of the same customer where the file has one: the paper's second property.
        sisters.sort(key=lambda one: one.customer != station.customer)
        network = self._stage.nodes[0]
        serials = [bridge.scale_serial for bridge in station.weighbridges] if others else []
        asking = self._users[others[0]] if others else self._users[station.customer]
        self._result.attempts += [
            await stranger_at_api(
                asking, others[0] if others else "Nobody", serials, secret.ticket_id
            ),
            await stranger_at_node(
                session,
                others[0] if others else "Another customer",
                self._admin_node(others[0]) if others else None,
                secret,
            ),
            await stranger_at_node(
                session,
                sisters[0].name if sisters else "Another station",
                self._station_node(sisters[0]) if sisters else None,
                secret,
            ),
            await stranger_at_node(
                session,
                "The network's administrator",
                NodeAddress(network.name, network.rpc_url),
                secret,
            ),
        ]

    def _secret(self, station: StationPlan) -> Secret:
        receipt = self._receipts[station.name][0]
        return Secret(
            contract=self._writers[station.name].view.address,
            transaction=receipt.transaction_hash,
            ticket_id=receipt.ticket_id,
            station=station.name,
        )

    def _station_node(self, station: StationPlan) -> NodeAddress:
        node = self._writers[station.name].view.node
        return NodeAddress(node.name, node.rpc_url)

    def _admin_node(self, customer: str) -> NodeAddress:
        node = self._views[self._stage.plan.stations_of(customer)[0].name].node
        return NodeAddress(node.name, node.rpc_url)

    async def _prove(self, ledger: QuorumLedger) -> None:
        station = self._stage.plan.stations[0]
        receipt = self._receipts[station.name][len(self._receipts[station.name]) // 2]
        path = f"/v1/tickets/{receipt.ticket_id}/proof"
        document = await self._users[station.customer].expect(200, "GET", path)
        ticket = Ticket.model_validate_json(json.dumps(document["ticket"]))
        # The address that the customer was given when the station was registered, not the one
        # that the platform names now; and the customer's own node.
        kept = self._stage.registered.contracts[station.name]
        self._check(
            f"the contract of {station.name} is the one that {station.customer} was told of",
            kept,
            document["contractAddress"],
            kept == document["contractAddress"],
        )
        view = ContractView(kept, self._views[station.name].node)
        proof = await ledger.verify(view, receipt, ticket)
        self._result.proof += [
            Finding(check.name, "holds", check.seen, check.holds) for check in proof.checks
        ]
        altered = ticket.model_copy(update={"gross": ticket.gross + 1, "net": ticket.net + 1})
        refused = await ledger.verify(view, receipt, altered)
        self._result.proof.append(
            Finding(
                "the same receipt with one gram added to the ticket",
                "does not hold",
                next((check.name for check in refused.checks if not check.holds), "holds"),
                not refused.holds,
            )
        )

    async def _tamper(self, ledger: QuorumLedger) -> None:
        stage, station = self._stage, self._stage.plan.stations[0]
        stored = self._tickets[station.customer][0]
        fields = {
            name: value for name, value in stored.items() if name not in {"station", "blockNumber"}
        }
        ticket = Ticket.model_validate_json(json.dumps(fields))
        contract = ContractTampering(
            stage.session, ledger, self._writers[str(stored["station"])], LedgerSettings()
        )
        self._result.tampering += [
            await tamper_with_database(
                stage.workspace.database,
                self._users[station.customer],
                stage.registered.stations[station.name],
                stage.plan.expected(station.customer),
            ),
            tamper_with_alibi(
                stage.workspace.station(station.name) / "data", stage.workspace.root / "tampered"
            ),
            await contract.attempt(ticket),
        ]

    async def _look_at_capture(self) -> None:
        capture = self._stage.capture
        if capture is None:
            return
        stations = self._stage.plan.stations
        cells = [serial.encode() for station in stations for serial in station.cells]
        self._result.capture += await capture.findings(secrets_of(stations), cells)
        self._result.handshakes = await capture.handshakes()

    def _check(self, name: str, expected: str, seen: str, holds: bool) -> None:
        self._result.checks.append(Finding(name, expected, seen, holds))


def secrets_of(stations: Sequence[StationPlan]) -> dict[str, list[bytes]]:
    """What nobody may read on the stations' links, by kind, in every form in which it is sent.

    Texts of fewer than seven characters are left out: encrypted bytes hold them by chance.
    """
    weighings = [weighing for station in stations for weighing in station.weighings]
    weights = {
        str(grams)
        for weighing in weighings
        for grams in (weighing.gross, weighing.tare, weighing.net, *_cell_grams(weighing))
    }
    vehicles = {weighing.vehicle for weighing in weighings if weighing.vehicle}
    samples = [
        encode_reading(Reading(0, weighing.timestamp, Decimal(grams) / 1000))
        for weighing in weighings
        for grams in _cell_grams(weighing)
    ]
    return {
        "ticket ids": [ticket_id(weighing).encode() for weighing in weighings],
        "vehicles": [text.encode() for text in vehicles if len(text) >= MIN_NEEDLE],
        "weights in grams, as a ticket's JSON has them": [
            text.encode() for text in weights if len(text) >= MIN_NEEDLE
        ],
        "load cells' samples, as SenML has them": samples,
        "words of HTTP and of tickets": [b"HTTP/1.1", b"Authorization", b"scaleGross"],
    }


def _cell_grams(weighing: Weighing) -> list[int]:
    return [cell.grams for cell in weighing.cells]
