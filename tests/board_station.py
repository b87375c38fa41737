"""A platform on this computer for a station in an emulated board, and the station's load cells."""

import asyncio
import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import tomli_w

from infra.images.emulator import Emulator
from steelyard.demo.plan import StationPlan
from steelyard.demo.stage import Stage
from steelyard.demo.workspace import LOOPBACK, Workspace

# Where an emulated board finds the computer that it runs on.
HOST = "10.0.2.2"
_PLACE = "/etc/steelyard"
_FILES = {
    "certificate_file": "pki/smartbox.pem",
    "key_file": "pki/smartbox.key",
    "device_ca_file": "pki/devices-ca.pem",
    "device_crl_file": "pki/devices-crl.pem",
    "ca_file": "pki/ca.pem",
    "client_secret_file": "smartbox.secret",
}
_STATUS = (
    "/opt/steelyard/station/current/venv/bin/steelyard smartbox status"
    f" --config {_PLACE}/smartbox.toml"
)


class BoardWorkspace(Workspace):
    """The demo's directory, whose platform also answers under the computer's name in the board."""

    def write_platform(self) -> Path:
        path = super().write_platform()
        self.servers.issue_server("platform", [LOOPBACK, "localhost", HOST], self.platform)
        return path


class BoardStage(Stage):
    """The demo without stations: they are in boards."""

    async def open(self) -> None:
        """Start the platform, and register everyone."""
        await self._start_platform()
        await self._register()


class BoardStation:
    """One station of the plan: its SmartBox in a board, its load cells here."""

    def __init__(self, stage: BoardStage, plan: StationPlan, board: Emulator, key: Path) -> None:
        self._stage, self._plan, self._board, self._key = stage, plan, board, key
        self._cells: list[subprocess.Popen[bytes]] = []

    def install(self) -> None:
        """Bring the SmartBox what first boot would write, and let it begin."""
        workspace = self._stage.workspace
        log_in = self._stage.registered.log_ins[self._plan.name]
        told = workspace.write_smartbox(self._plan, log_in)
        document = tomllib.loads(told.read_text("utf-8"))
        own = document["smartbox"]
        files = {place: Path(own[name]) for name, place in _FILES.items()}
        own |= {name: f"{_PLACE}/{place}" for name, place in _FILES.items()}
        own |= {
            "data_directory": "/var/lib/steelyard/smartbox",
            "coap_host": "0.0.0.0",  # noqa: S104 - in the board
            "coap_port": 5684,
            "status_port": 8080,
            "management_url": workspace.management_url.replace(LOOPBACK, HOST),
            "tickets_url": workspace.tickets_url.replace(LOOPBACK, HOST),
        }
        config = told.with_name("board.toml")
        config.write_text(tomli_w.dumps(document), "utf-8")
        self._board.ssh(self._key, f"mkdir -p {_PLACE}/pki")
        for place, path in files.items():
            self._board.send(self._key, path, f"{_PLACE}/{place}")
        self._board.send(self._key, config, f"{_PLACE}/smartbox.toml")
        rights = f"chmod 600 {_PLACE}/pki/smartbox.key {_PLACE}/smartbox.secret"
        self._board.ssh(self._key, f"{rights}; sync; systemctl start steelyard-smartbox")

    def weigh(self, interval: float) -> None:
        """Start the load cells, which send a load in so many seconds and wait for each answer."""
        workspace = self._stage.workspace
        ports = {**workspace.ports.coap, self._plan.name: self._board.coap_port}
        workspace.ports = replace(workspace.ports, coap=ports)
        program = Path(sys.executable).with_name("steelyard")
        for number, serial in enumerate(self._plan.cells, start=1):
            path = workspace.write_cell(self._plan, serial, number)
            document = tomllib.loads(path.read_text("utf-8"))
            document["loadcell"] |= {"interval_seconds": interval, "once": False}
            path.write_text(tomli_w.dumps(document), "utf-8")
            with workspace.log(f"cell-{number}").open("wb") as log:
                command = ["nice", "-n", "19", program, "loadcell", "run", "--config", path]
                self._cells.append(subprocess.Popen(command, stdout=log, stderr=log))

    def stop(self) -> None:
        """End the load cells."""
        for one in self._cells:
            one.terminate()
        for one in self._cells:
            one.wait(30)

    def status(self) -> dict[str, object]:
        """What the SmartBox says of itself."""
        told: dict[str, object] = json.loads(self._board.ssh(self._key, _STATUS))
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
