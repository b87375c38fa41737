"""Puts the experiment on: starts every process, registers everyone, waits for the last receipt."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from steelyard.demo.capture import Capture
from steelyard.demo.client import ApiClient
from steelyard.demo.errors import DemoFailed
from steelyard.demo.plan import Plan, StationPlan
from steelyard.demo.processes import STOP_SECONDS, Command, Processes
from steelyard.demo.registration import NodeEntry, Registered, read_network, register_all
from steelyard.demo.result import DemoResult, Finding
from steelyard.demo.workspace import ADMINISTRATOR, Workspace

START_SECONDS = 60.0
# A Java virtual machine a node; each step of the network's start has a limit of its own.
NETWORK_SECONDS = 600.0
# What a network takes at most to stop: twice its own limit, for its nodes and privacy managers.
NETWORK_STOP_SECONDS = 60.0
# So long nothing may happen before the demo is given up: far longer than any block.
STALL_SECONDS = 120.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose."""

    weighings: Path
    owners: dict[str, str]
    engine: str
    block_period: int
    capture: bool
    network: Path | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the experiment came: tickets with a stored receipt, of so many weighings."""

    step: str
    receipts: int = 0
    weighings: int = 0


Report = Callable[[Progress], None]


class Stage:
    """The running experiment. Its processes belong to the `Processes` that it is given."""

    def __init__(
        self,
        options: Options,
        plan: Plan,
        workspace: Workspace,
        processes: Processes,
        session: aiohttp.ClientSession,
        report: Report,
    ) -> None:
        self.plan = plan
        self.workspace = workspace
        self.processes = processes
        self.session = session
        self.management = ApiClient(session, workspace.management_url)
        self.result = DemoResult(engine="sandbox")
        self.nodes: list[NodeEntry] = []
        self.registered = Registered()
        self.capture: Capture | None = None
        self._options = options
        self._report = report

    async def run(self) -> None:
        """From nothing to the last receipt. Raises DemoFailed and ProcessFailed."""
        with self._timed("platform"):
            await self._start_platform()
        with self._timed("registration"):
            await self._register()
        if self._options.capture:
            await self._start_capture()
        with self._timed("weighings"):
            await self._start_stations()
            await self._wait_for_receipts()
        if self.capture is not None:
            await self.capture.stop()

    def tickets_client(self) -> ApiClient:
        """A client of the tickets API; its user has yet to log in."""
        return ApiClient(self.session, self.workspace.tickets_url)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        self._report(Progress(step))
        yield
        self.result.seconds[step] = round(time.monotonic() - started, 2)

    async def _start_platform(self) -> None:
        network = self._start_engines()
        config = self.workspace.write_platform()
        password = str(self.workspace.password_file)
        await self._run_to_end("vault", "vault", "init", config=config)
        keys = str(self.workspace.token_keys)
        await self._run_to_end("token-keys", "identity", "make-keys", "--directory", keys)
        await self._run_to_end("database", "database", "upgrade", config=config)
        await self._run_to_end(
            "administrator",
            *("identity", "bootstrap-admin", "--login", ADMINISTRATOR),
            *("--password-file", password),
            config=config,
        )
        self._start("management-api", "management-api", config=config)
        self._start("tickets-api", "tickets-api", config=config)
        await self._wait_until("the network's addresses", network.exists, NETWORK_SECONDS)
        self.result.engine, self.nodes = read_network(network)
        for api in (self.management, self.tickets_client()):
            await self._watching(api.wait_until_ready(START_SECONDS))

    def _start_engines(self) -> Path:
        """Start what the demo runs on, unless it is there; gives where its addresses will be."""
        if self._options.network is not None:
            return self._options.network
        if self._options.engine == "sandbox":
            sandbox = self.workspace.write_sandbox(self._options.block_period)
            self._start("sandbox", "sandbox", config=sandbox)
            return self.workspace.network_file
        directory = self.workspace.engines
        arguments = ("up", "--foreground", "--directory", str(directory))
        nodes = ("--nodes", str(self.plan.nodes))
        self._start("network", "network", *arguments, *nodes, stop_seconds=NETWORK_STOP_SECONDS)
        return directory / "network.json"

    async def _register(self) -> None:
        password = self.workspace.password_file.read_text("ascii").strip()
        await self.management.log_in(ADMINISTRATOR, password, self.management)
        self.registered = await self._watching(register_all(self.management, self.plan, self.nodes))
        await self._keep_contracts()

    async def _keep_contracts(self) -> None:
        """Note, as a customer would, where each station's contract is before it has any ticket."""
        for customer, user in self.registered.users.items():
            client = ApiClient(self.session, self.workspace.management_url)
            await client.log_in(user.login, user.password, self.management)
            for station in self.plan.stations_of(customer):
                path = f"/v1/stations/{self.registered.stations[station.name]}/contract"
                contract = await client.expect(200, "GET", path)
                self.registered.contracts[station.name] = contract["contract_address"]

    async def _start_capture(self) -> None:
        why_not = Capture.missing()
        if why_not is not None:
            self.result.capture.append(Finding("the stations' traffic", "recorded", why_not, None))
            return
        ports = self.workspace.ports
        self.capture = Capture(
            self.workspace.root / "capture.pcapng",
            list(ports.coap.values()),
            [ports.management, ports.tickets],
        )
        await self.capture.start()

    async def _start_stations(self) -> None:
        for station in self.plan.stations:
            log_in = self.registered.log_ins[station.name]
            config = self.workspace.write_smartbox(station, log_in)
            replay = str(station.part.rows_file)
            self._start(
                f"smartbox-{station.name}", "smartbox", "run", "--replay", replay, config=config
            )
        for station in self.plan.stations:
            await self._wait_for_smartbox(station)
            for number, serial in enumerate(station.cells, start=1):
                config = self.workspace.write_cell(station, serial, number)
                self._start(f"cell-{station.name}-{number}", "loadcell", "run", config=config)
        self.result.processes = self.processes.count()

    async def _wait_for_smartbox(self, station: StationPlan) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while await self.status(station.name) is None:
                    self.processes.check()
                    await asyncio.sleep(POLL_SECONDS / 5)
        except TimeoutError:
            raise DemoFailed(f"the SmartBox of {station.name} did not start") from None

    async def status(self, station: str) -> Any:
        """What a SmartBox says of itself, or None while it does not answer."""
        url = f"http://127.0.0.1:{self.workspace.ports.status[station]}/"
        try:
            async with self.session.get(url) as response:
                return await response.json()
        except aiohttp.ClientError:
            return None

    async def _wait_for_receipts(self) -> None:
        total = self.plan.weighings
        receipts, moved = -1, time.monotonic()
        while receipts < total:
            statuses = [await self.status(station.name) for station in self.plan.stations]
            now = sum(status["tickets"].get("registered", 0) for status in statuses if status)
            if now > receipts:
                receipts, moved = now, time.monotonic()
            self._sample_memory()
            self._report(Progress("weighings", receipts, total))
            self.processes.check()
            _check_refusals(statuses)
            if time.monotonic() - moved > STALL_SECONDS:
                raise DemoFailed(
                    f"{receipts} of {total} tickets have a receipt and nothing moves; "
                    f"{_alarms(statuses)}"
                )
            await asyncio.sleep(POLL_SECONDS)

    def _sample_memory(self) -> None:
        self.result.memory_bytes = max(self.result.memory_bytes, self.processes.memory())

    def _start(
        self,
        name: str,
        *arguments: str,
        config: Path | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        environment = {"STEELYARD_CONFIG": str(config)} if config else {}
        log = self.workspace.log(name)
        self.processes.start(Command(name, arguments, environment, log, stop_seconds))

    async def _run_to_end(self, name: str, *arguments: str, config: Path | None = None) -> None:
        self._start(name, *arguments, config=config)
        await self._wait_until(name, lambda: self.processes.ended(name))
        self.processes.stop(name)

    async def _wait_until(
        self, what: str, done: Callable[[], bool], seconds: float = START_SECONDS
    ) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self.processes.check()
                    await asyncio.sleep(POLL_SECONDS / 10)
        except TimeoutError:
            raise DemoFailed(f"{what}: not there after {seconds:g} s") from None

    async def _watching(self, work: Any) -> Any:
        """Await something, and fail at once when a process of the demo ends meanwhile."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                self.processes.check()
                await asyncio.wait([task], timeout=POLL_SECONDS)
        finally:
            task.cancel()
        return task.result()


def _check_refusals(statuses: list[Any]) -> None:
    refused = [status for status in statuses if status and status["tickets"].get("refused")]
    if refused:
        first = refused[0]
        raise DemoFailed(
            f"{first['station']}: {first['tickets']['refused']} tickets were refused; "
            f"{_alarms(refused)}"
        )


def _alarms(statuses: list[Any]) -> str:
    alarms = [
        f"{status['station']}: {alarm['text']}"
        for status in statuses
        if status
        for alarm in status["alarms"]
    ]
    return "; ".join(alarms[:3]) or "no alarm is raised"
