"""A platform on this computer for a station in an emulated board, and the station's load cells."""

import asyncio
import json
import shlex
import subprocess
import sys
import tomllib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from board_card import HOST, PLACE, flash_card
from infra.images.emulator import ENROLMENT, SAMPLES, Emulator
from infra.images.errors import ImageProblem
from steelyard.demo.compare import differences, ticket_id
from steelyard.demo.plan import StationPlan
from steelyard.demo.stage import Stage
from steelyard.demo.workspace import LOOPBACK, Workspace
from steelyard.loadcell.position import Position
from steelyard.pki.authority import Authority

# This computer's, and the board's.
STEELYARD = str(Path(sys.executable).with_name("steelyard"))
PROGRAM = "/opt/steelyard/station/current/venv/bin/steelyard"
CONFIG = f"{PLACE}/smartbox/enrolment/smartbox.toml"
DATA = f"{PLACE}/smartbox/data"


class BoardWorkspace(Workspace):
    """The demo's directory, whose platform enrols, and answers under its name in the board."""

    def write_platform(self) -> Path:
        path = super().write_platform()
        issued = self.servers.issue_server("board", [LOOPBACK, "localhost", HOST], self.platform)
        devices = Authority.create(self._made("authorities/enrolment"), "Devices", nameless=True)
        document = tomllib.loads(path.read_text("utf-8"))
        for api in ("management", "tickets"):
            document[api]["certificate"] = str(issued.certificate_path)
            document[api]["private_key"] = str(issued.key_path)
        document["enrolment"] = {
            "authority_file": str(devices.certificate_path),
            "authority_key_file": str(devices.directory / "authority.key"),
            "tickets_url": self.tickets_url.replace(LOOPBACK, HOST),
        }
        return self._write(path, document)


class BoardStage(Stage):
    """The demo without stations: they are in boards."""

    async def open(self) -> None:
        """Start the platform, and register everyone."""
        await self._start_platform()
        await self._register()

    async def claim(self, serial: str) -> str:
        """A claim code for a registered device."""
        for device in await self.management.every("/v1/devices", "items"):
            if device["serial"] == serial:
                path = f"/v1/devices/{device['id']}/claim"
                made = await self.management.expect(201, "POST", path)
                return str(made["code"])
        raise AssertionError(f"no device {serial} is registered")

    async def tickets(self, customer: str) -> list[dict[str, Any]]:
        """What a customer's user finds, from the ledger."""
        client, user = self.tickets_client(), self.registered.users[customer]
        await client.log_in(user.login, user.password, self.management)
        return await client.every("/v1/tickets", "tickets")


class BoardStation:
    """One station of the plan: its SmartBox in a board, its load cells here."""

    def __init__(self, stage: BoardStage, plan: StationPlan, board: Emulator, key: Path) -> None:
        self._stage, self._plan, self.board, self.key = stage, plan, board, key
        self._cells: list[subprocess.Popen[bytes]] = []

    @property
    def _serial(self) -> str:
        return f"SB-{self._plan.part.terminal_serial}"

    async def flash(self, built: Path) -> str:
        """Flash the board's card with a claim code, which is given back."""
        code = await self._stage.claim(self._serial)
        workspace = self._stage.workspace
        await asyncio.to_thread(
            flash_card,
            built,
            self.board,
            self.key,
            platform=workspace.management_url.replace(LOOPBACK, HOST),
            authority=workspace.servers.certificate_path,
            station=self._plan.name,
            claim=code,
        )
        return code

    async def enrol_cells(self, interval: float) -> None:
        """Let the load cells enrol through the SmartBox, each by a code of its own.

        Then they have a weight to send in so many seconds, and wait for each answer.
        """
        command = f"{PROGRAM} smartbox enrol-cells --config {CONFIG} --minutes 60"
        relay = await asyncio.create_subprocess_exec(
            *("ssh", *self.board.ssh_options(self.key), "-p", str(self.board.ssh_port)),
            # A terminal: without it the relay would stay when ssh is ended.
            *("-tt", "root@127.0.0.1", command),
            stdin=subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            assert relay.stdout is not None
            first = await asyncio.wait_for(relay.stdout.readline(), 300)
            assert b"5683" in first, first
            for serial in self._plan.cells:
                await self._enrol_cell(serial, interval)
        finally:
            relay.terminate()
            await relay.wait()

    async def _enrol_cell(self, serial: str, interval: float) -> None:
        into = self._cell(serial)
        process = await asyncio.create_subprocess_exec(
            *(STEELYARD, "loadcell", "enrol"),
            *("--smartbox", LOOPBACK, "--port", str(self.board.host_port(ENROLMENT))),
            *("--samples-port", str(self.board.host_port(SAMPLES))),
            *("--serial", serial, "--claim", "-", "--into", str(into)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        code = await self._stage.claim(serial)
        said, _ = await process.communicate(code.encode())
        assert process.returncode == 0, said.decode()
        self._configure(serial, interval)

    def _configure(self, serial: str, interval: float) -> None:
        path = self._cell(serial) / "loadcell.toml"
        document = tomllib.loads(path.read_text("utf-8"))
        document["loadcell"] |= {
            "replay_file": str(self._plan.cells[serial]),
            "interval_seconds": interval,
            # Longer than the SmartBox waits for the other cells of a weighing.
            "answer_seconds": 70.0,
        }
        path.write_text(tomli_w.dumps(document), "utf-8")

    def _cell(self, serial: str) -> Path:
        return self._stage.workspace.station(self._plan.name) / f"cell-{serial}"

    def weigh(self) -> None:
        """Start the load cells."""
        for serial in self._plan.cells:
            config = self._cell(serial) / "loadcell.toml"
            with self._stage.workspace.log(f"cell-{serial}").open("wb") as log:
                command = ["nice", "-n", "19", STEELYARD, "loadcell", "run", "--config", config]
                self._cells.append(subprocess.Popen(command, stdout=log, stderr=log))

    def hurry(self, interval: float) -> None:
        """Start the load cells again, to send what they have left one after another."""
        self.stop()
        for serial in self._plan.cells:
            self._configure(serial, interval)
        self.weigh()

    def stop(self) -> None:
        """End the load cells."""
        for one in self._cells:
            one.terminate()
        for one in self._cells:
            one.wait(60)
        self._cells.clear()

    def positions(self) -> list[int]:
        """How many weights each load cell has brought to the SmartBox's acknowledgement."""
        found = []
        for serial in self._plan.cells:
            position = Position(self._cell(serial) / "position")
            position.close()
            found.append(position.next)
        return found

    def left(self) -> int:
        """How many weights the load cells have still to bring."""
        # The first line names the columns.
        rows = sum(
            len(one.read_text("utf-8").splitlines()) - 1 for one in self._plan.cells.values()
        )
        return rows - sum(self.positions())

    def ask(self, *words: str) -> str:
        """What a command of the SmartBox's says."""
        return self.board.ssh(self.key, shlex.join([PROGRAM, *words]))

    def status(self) -> dict[str, object]:
        """What the SmartBox says of itself."""
        told: dict[str, object] = json.loads(self.ask("smartbox", "status", "--config", CONFIG))
        return told

    def registered(self) -> int:
        """Tickets with a receipt."""
        tickets = self.status()["tickets"]
        assert isinstance(tickets, dict)
        return int(tickets.get("registered", 0))

    async def wait_for(self, tickets: int, seconds: float) -> None:
        """Wait until so many tickets have a receipt."""
        async with asyncio.timeout(seconds):
            found = 0
            while found < tickets:
                found = await asyncio.to_thread(self.registered)
                await asyncio.sleep(3)

    async def knows_the_time_by(self, source: str, seconds: float) -> None:
        """Wait until the SmartBox, which may just be starting, believes this source."""
        async with asyncio.timeout(seconds):
            found: object = None
            while found != source:
                await asyncio.sleep(3)
                with suppress(ImageProblem):
                    status: Any = await asyncio.to_thread(self.status)
                    found = status["time"]["source"]

    async def tickets(self) -> list[dict[str, Any]]:
        """The station's tickets as its customer finds them."""
        found = await self._stage.tickets(self._plan.customer)
        return [ticket for ticket in found if ticket["station"] == self._plan.name]

    def differences(self, tickets: list[dict[str, Any]]) -> list[str]:
        """Between the file of weighings and these tickets, field by field, one sentence for each.

        The SmartBox weighs here and replays nothing: a ticket has no vehicle and no tare, its
        terminal is the SmartBox, and how often that had started is for the caller to look at.
        """
        starts = {ticket["ticketID"]: ticket["terminalRestartValue"] for ticket in tickets}
        weighed = [
            replace(
                weighing,
                terminal_serial=self._serial,
                terminal_restart=starts.get(ticket_id(weighing), 0),
                status="ok",
                vehicle=None,
                tare=0,
                net=weighing.gross,
            )
            for weighing in self._plan.weighings
        ]
        return differences([replace(self._plan, weighings=tuple(weighed))], tickets)
