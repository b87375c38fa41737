"""What the SmartBox's tests share: certificates, configuration, and a platform that can fail."""

import asyncio
import base64
import json
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from steelyard.loadcell.config import LoadCellConfig
from steelyard.pki.authority import Authority, Issued
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.ticket import AlibiHead, Ticket

CLIENT_ID = STATION = "station-1"
SECRET = "correct-horse"
START_MS = 1_605_160_800_000
BRIDGES = {
    "wb-1": ("WB01", ("C11", "C12", "C13", "C14")),
    "wb-2": ("WB02", ("C21", "C22", "C23", "C24")),
}
CELLS = {cell: bridge for bridge, (_, cells) in BRIDGES.items() for cell in cells}


@dataclass(frozen=True)
class Planned:
    """A weighing that a test sends: what the ticket must say in the end."""

    bridge: str
    time: int
    vehicle: str
    tare: int
    cells: tuple[tuple[str, int], ...]

    @property
    def gross(self) -> int:
        return sum(grams for _, grams in self.cells)


def plan(count: int) -> list[Planned]:
    """Weighings by turns on both weighbridges."""
    made = []
    for number in range(count):
        bridge = "wb-1" if number % 2 == 0 else "wb-2"
        grams = [1_000_000 + 20_000 * number + 1000 * index for index in range(4)]
        grams[3] += (-sum(grams)) % 20_000
        cells = tuple(zip(BRIDGES[bridge][1], grams, strict=True))
        made.append(Planned(bridge, START_MS + number * 1000, f"V-{number}", 20_000, cells))
    return made


class Stage:
    """Certificates for one station, made once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.https = Authority.create(directory / "https-ca", "Test HTTPS")
        self.devices = Authority.create(directory / "device-ca", "Test devices")
        leaves = directory / "leaves"
        self.server = self.https.issue_server("platform", ["localhost", "127.0.0.1"], leaves)
        self.smartbox = self.devices.issue_smartbox(
            "SB01", ["localhost", "127.0.0.1"], leaves, station=STATION
        )
        self.cells: dict[str, Issued] = {
            serial: self.devices.issue_loadcell(serial, leaves, station=STATION)
            for serial in [*CELLS, "STRANGER"]
        }
        self.secret_file = directory / "secret"
        self.secret_file.write_text(SECRET + "\n")
        self.secret_file.chmod(0o600)
        self.secret_file.chmod(0o600)

    def settings(self, data: Path, url: str, **changes: Any) -> dict[str, Any]:
        """The section `smartbox`, as a TOML file would have it."""
        return {
            "station": "station-1",
            "terminal_serial": "T1",
            "data_directory": str(data),
            "coap_host": "127.0.0.1",
            "coap_port": 0,
            "certificate_file": str(self.smartbox.certificate_path),
            "key_file": str(self.smartbox.key_path),
            "device_ca_file": str(self.devices.certificate_path),
            "device_crl_file": str(self.devices.crl_path),
            "management_url": url,
            "tickets_url": url,
            "ca_file": str(self.https.certificate_path),
            "client_id": CLIENT_ID,
            "client_secret_file": str(self.secret_file),
            "join_deadline_seconds": 5.0,
            "backoff_seconds": 0.02,
            "backoff_limit_seconds": 0.2,
            "status_port": 0,
            "weighbridges": [
                {
                    "name": name,
                    "scale_serial": serial,
                    "scale_interval_grams": 20_000,
                    "max_capacity_grams": 60_000_000,
                    "cells": [{"serial": cell} for cell in cells],
                }
                for name, (serial, cells) in BRIDGES.items()
            ],
        } | changes

    def load(self, data: Path, url: str, **changes: Any) -> SmartBoxSettings:
        return SmartBoxSettings(**self.settings(data, url, **changes))

    def cell(self, serial: str, port: int, directory: Path, **changes: Any) -> LoadCellConfig:
        """A load cell that replays `directory/<serial>.csv`."""
        issued = self.cells[serial]
        values: dict[str, Any] = {
            "serial": serial,
            "server_host": "127.0.0.1",
            "server_port": port,
            "certificate_file": issued.certificate_path,
            "key_file": issued.key_path,
            "ca_file": self.devices.certificate_path,
            "position_file": directory / f"{serial}.position",
            "replay_file": directory / f"{serial}.csv",
            "interval_seconds": 0.0,
            "answer_seconds": 7.0,
            "silence_seconds": 0.5,
            "backoff_seconds": 0.02,
            "backoff_limit_seconds": 0.1,
            "once": True,
        }
        return LoadCellConfig(**(values | changes))


def write_replay(planned: Sequence[Planned], directory: Path) -> Path:
    """The station's rows, and a file for each cell."""
    from steelyard.ticket import format_timestamp
    from steelyard.weighings import format_kilograms

    directory.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[str]] = {serial: ["timestamp,kg"] for serial in CELLS}
    header = (
        "station,weighbridge,terminal_serial,terminal_restart,timestamp,scale_serial,"
        "scale_status,vehicle,tare_kg,cell_1_serial,cell_2_serial,cell_3_serial,cell_4_serial"
    )
    rows = [header]
    for weighing in planned:
        time = format_timestamp(weighing.time)
        scale, cells = BRIDGES[weighing.bridge]
        tare = format_kilograms(weighing.tare)
        rows.append(
            f"station-1,{weighing.bridge},T1,3,{time},{scale},ok,{weighing.vehicle},{tare},"
            + ",".join(cells)
        )
        for serial, grams in weighing.cells:
            columns[serial].append(f"{time},{format_kilograms(grams)}")
    for serial, lines in columns.items():
        (directory / f"{serial}.csv").write_text("\n".join(lines) + "\n")
    path = directory / "rows.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def expected_ticket(weighing: Planned) -> Ticket:
    """The ticket that a planned weighing must end as."""
    return Ticket(
        id=f"station-1_{weighing.bridge}_{weighing.time}",
        terminal_serial="T1",
        terminal_restart=3,
        timestamp=weighing.time,
        scale_serial=BRIDGES[weighing.bridge][0],
        status="ok",
        gross=weighing.gross,
        tare=weighing.tare,
        net=weighing.gross - weighing.tare,
        vehicle=weighing.vehicle,
        cells=[{"serial": serial, "weight": grams} for serial, grams in weighing.cells],
    )


@dataclass(frozen=True)
class Fault:
    """What the platform does to one batch request instead of answering it well.

    `apply`: whether the tickets are registered first. `status` 0 cuts the connection.
    """

    status: int = 0
    apply: bool = False
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


class FakePlatform:
    """Both APIs on one HTTPS port. Registers each id once; counts what it was asked.

    While `gate` is closed, batches are under way and not looked at.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.tickets: dict[str, Ticket] = {}
        self.receipts: dict[str, tuple[str, int]] = {}
        self.batches: list[list[str]] = []
        self.heads: list[AlibiHead | None] = []
        self.faults: deque[Fault] = deque()
        self.token_faults: deque[Fault] = deque()
        self.refuse: dict[str, dict[str, Any]] = {}
        self.poison: set[str] = set()
        self.tokens: set[str] = set()
        self.token_requests = 0
        self.token_lifetime = 300
        self.known_twice = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.sockets: set[Any] = set()

    async def start(self, port: int = 0, certificate: tuple[Path, Path] | None = None) -> None:
        """Serve TLS 1.3, with the stage's certificate and key or with others."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = self._stage.server
        context.load_cert_chain(*(certificate or (server.certificate_path, server.key_path)))
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_post("/oauth2/token", self._token)
        app.router.add_post("/v1/tickets/batch", self._batch)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"https://localhost:{self.port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.token_requests += 1
        if self.token_faults:
            return self._fail(request, self.token_faults.popleft())
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        form = await request.post()
        if (
            scheme != "Basic"
            or base64.b64decode(value).decode() != f"{CLIENT_ID}:{SECRET}"
            or form.get("grant_type") != "client_credentials"
        ):
            return web.json_response({"error": "invalid_client"}, status=401)
        token = f"token-{self.token_requests}"
        self.tokens.add(token)
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": self.token_lifetime}
        )

    def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.status == 0:
            assert request.transport is not None
            request.transport.abort()
            raise asyncio.CancelledError
        return web.Response(status=fault.status, body=fault.body, headers=fault.headers)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        self.under_way += 1
        try:
            await self.gate.wait()
            return await self._look_at_batch(request)
        finally:
            self.under_way -= 1

    async def _look_at_batch(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return web.json_response({"title": "Unauthorized"}, status=401)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and not fault.apply:
            return self._fail(request, fault)
        body = await request.json()
        self.batches.append([item["ticketID"] for item in body["tickets"]])
        head = body.get("alibiHead")
        self.heads.append(None if head is None else AlibiHead(**head))
        assert 1 <= len(body["tickets"]) <= 100
        if self.poison & set(self.batches[-1]):
            return web.json_response({"title": "The request is not valid"}, status=422)
        results = [self._register(item) for item in body["tickets"]]
        if fault is not None:
            return self._fail(request, fault)
        return web.json_response({"results": results})

    def _register(self, item: dict[str, Any]) -> dict[str, Any]:
        ticket_id = item["ticketID"]
        if ticket_id in self.refuse:
            problem = self.refuse[ticket_id]
            return {"ticketID": ticket_id, "status": "refused", "problem": problem}
        try:
            ticket = Ticket.model_validate_json(json.dumps(item))
        except ValidationError as error:
            problem = {"status": 422, "title": "invalid", "detail": str(error)}
            return {"ticketID": ticket_id, "status": "refused", "problem": problem}
        known = self.tickets.get(ticket_id)
        if known is not None and known != ticket:
            problem = {"status": 409, "title": "Another ticket has this id"}
            return {"ticketID": ticket_id, "status": "refused", "problem": problem}
        status = "registered" if known is None else "already-registered"
        self.known_twice += known is not None
        self.tickets[ticket_id] = ticket
        number = len(self.tickets)
        transaction, block = self.receipts.setdefault(ticket_id, (f"0x{number:064x}", number))
        return {
            "ticketID": ticket_id,
            "status": status,
            "transactionHash": transaction,
            "blockNumber": block,
        }


def raw(grams: int) -> Decimal:
    """Grams as the kilograms that a cell sends."""
    return Decimal(grams) / 1000


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what another process, or another task, does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.002)
