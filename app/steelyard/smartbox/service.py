"""A running SmartBox: the wiring of its parts, and their end."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from structlog import get_logger

from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.server import CoapServer, create_coap_server
from steelyard.errors import ConfigurationError
from steelyard.secret_files import read_secret_line
from steelyard.smartbox.care import Care
from steelyard.smartbox.display.changes import Changes
from steelyard.smartbox.display.service import DisplayService
from steelyard.smartbox.enrolment.renewing import Renewing
from steelyard.smartbox.errors import StorageUnavailable
from steelyard.smartbox.intake.emission import TicketBuilder
from steelyard.smartbox.intake.live import Intakes, LiveStation
from steelyard.smartbox.intake.replay import Replay
from steelyard.smartbox.intake.resource import WEIGHT_PATH, make_site, transport_counters
from steelyard.smartbox.intake.station import Station
from steelyard.smartbox.kernel_clock import KernelClock
from steelyard.smartbox.pages.client import READY_FILE
from steelyard.smartbox.pages.status import StatusPage
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.settings import SmartBoxSettings, WeighbridgeSettings
from steelyard.smartbox.station_clock import CLOCK_FILE, StationClock
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.batches import Limits
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.smartbox.uplink.peers import Peers
from steelyard.smartbox.uplink.platform import Platform, make_session, make_tls_context
from steelyard.smartbox.uplink.uplink import Uplink
from steelyard.smartbox.weighing.calibration import Calibration, read_calibration

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a running SmartBox listens."""

    station: str
    coap_host: str
    coap_port: int
    status_url: str
    display_url: str | None = None

    @property
    def line(self) -> str:
        """One line for people."""
        where = f"coaps://{self.coap_host}:{self.coap_port}/{WEIGHT_PATH}"
        displays = f"{self.status_url}display/" + f", {self.display_url}" * bool(self.display_url)
        return (
            f"SmartBox of {self.station} is ready: {where}, status at {self.status_url}, "
            f"display at {displays}"
        )


class SmartBox:
    """One station's SmartBox. `run` returns when `stop` was called, or raises what failed."""

    def __init__(self, settings: SmartBoxSettings, replay_file: Path | None = None) -> None:
        self._settings = settings
        self._bridges = {bridge.name: bridge for bridge in settings.weighbridges}
        self._weighbridge_of = {
            cell.serial: bridge.name for bridge in settings.weighbridges for cell in bridge.cells
        }
        self._replay = None
        if replay_file is not None:
            cells = {
                bridge.name: frozenset(cell.serial for cell in bridge.cells)
                for bridge in settings.weighbridges
            }
            self._replay = Replay.read(replay_file, settings.station, cells)
        # In a replay the rows say what was weighed, and when.
        self._cycled = [
            (bridge, _calibration(settings, bridge))
            for bridge in settings.weighbridges
            if bridge.weighing is not None and replay_file is None
        ]
        self._secret = read_secret_line(settings.client_secret_file, "smartbox.client_secret_file")
        self._tls = make_tls_context(settings.ca_file)
        self._ended: asyncio.Future[None] | None = None
        self._peers = Peers()
        self._peers.watch(self._tls)
        self._clock = StationClock(keep=settings.data_directory / CLOCK_FILE)

    def stop(self) -> None:
        """End `run`, after what is being written."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    async def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Open the storage, listen, send; until `stop`.

        Raises Problem subclasses, each one a clear sentence, when it cannot start or go on.
        """
        self._ended = asyncio.get_running_loop().create_future()
        settings = self._settings
        async with AsyncExitStack() as stack:
            recorder = await Recorder.open(
                lambda: Storage.open(
                    settings.data_directory,
                    settings.station,
                    replay=self._replay is not None,
                    reserve=settings.reserve_bytes,
                )
            )
            stack.push_async_callback(recorder.close)
            status = Status(self._clock.now)
            uplink, platform, renewing = await stack.enter_async_context(
                self._uplink(recorder, status)
            )
            restart = await recorder.run(recorder.storage.outbox.count_start)
            station = self._station(recorder, status, uplink, restart)
            stack.push_async_callback(station.close)
            changes = Changes()
            live = self._live(recorder, status, uplink, restart, changes.tell)
            stack.push_async_callback(live.close)
            self._clock.on_step = live.rebase
            await station.resume()
            live.start()
            care = Care(
                recorder,
                platform.greet,
                status,
                self._clock,
                KernelClock(settings.time_file),
                years=settings.alibi_years,
                on_times=uplink.wake,
                on_failure=self._fail,
            )
            care.start()
            stack.push_async_callback(care.close)
            server = await self._listen(Intakes(station, live), status, renewing)
            stack.push_async_callback(server.shutdown)
            display = DisplayService(settings, live, status, changes, self._clock.now)
            stack.push_async_callback(display.close)
            page = StatusPage(
                settings,
                recorder,
                status,
                lambda: transport_counters(server.counters),
                len(self._replay) if self._replay is not None else None,
                live,
                display,
                self._clock,
            )
            stack.push_async_callback(page.close)
            url = await self._open_page(page)
            ready = Ready(settings.station, *server.address, url, await display.start())
            _write_ready(settings.data_directory, ready)
            on_ready(ready)
            await self._ended
            log.info("stopping", station=settings.station)

    def _station(self, recorder: Recorder, status: Status, uplink: Uplink, restart: int) -> Station:
        settings = self._settings
        builder = TicketBuilder(
            settings.station, settings.terminal_serial, restart, self._bridges, self._replay
        )
        return Station(
            recorder,
            builder,
            self._weighbridge_of,
            status,
            deadline=settings.join_deadline_seconds,
            on_ticket=uplink.wake,
            on_failure=self._fail,
        )

    def _live(
        self,
        recorder: Recorder,
        status: Status,
        uplink: Uplink,
        restart: int,
        on_change: Callable[[], None],
    ) -> LiveStation:
        settings = self._settings
        return LiveStation(
            recorder,
            self._cycled,
            (settings.station, settings.terminal_serial, restart),
            status,
            self._clock.now,
            on_ticket=uplink.wake,
            on_failure=self._fail,
            on_change=on_change,
            stamp=self._clock.stamp,
        )

    @asynccontextmanager
    async def _uplink(
        self, recorder: Recorder, status: Status
    ) -> AsyncIterator[tuple[Uplink, Platform, Renewing | None]]:
        settings = self._settings
        seconds = settings.request_timeout_seconds
        async with make_session(self._tls, seconds, settings.proxy_url) as session:
            platform = Platform(
                session,
                management_url=settings.management_url,
                tickets_url=settings.tickets_url,
                client_id=settings.client_id,
                client_secret=self._secret,
                station_clock=self._clock,
                peers=self._peers,
            )
            uplink = Uplink(
                recorder,
                platform,
                status,
                Limits(
                    batch_size=settings.batch_size,
                    batch_bytes=settings.batch_bytes,
                    batch_age=settings.batch_age_seconds,
                    batches_in_flight=settings.batches_in_flight,
                ),
                backoff=Backoff(
                    settings.backoff_seconds,
                    settings.backoff_limit_seconds,
                    random.SystemRandom().random,
                ),
            )
            task = asyncio.create_task(uplink.run(), name="uplink")
            task.add_done_callback(self._uplink_ended)
            renewing = Renewing.of(settings, session, platform, status)
            if renewing is not None:
                renewing.start()
            try:
                yield uplink, platform, renewing
            finally:
                if renewing is not None:
                    await renewing.stop()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _uplink_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _listen(
        self, station: Intakes, status: Status, renewing: Renewing | None
    ) -> CoapServer:
        settings = self._settings
        credentials = Credentials(
            certificate=settings.certificate_file,
            private_key=settings.key_file,
            authority=settings.device_ca_file,
            revocations=settings.device_crl_file,
        )
        address = (settings.coap_host, settings.coap_port)
        counters = TransportCounters()
        name = settings.cells_station
        site = make_site(name, station, status, counters, self._clock.now)
        if renewing is not None:
            renewing.add_to(site, name)
        try:
            return await create_coap_server(site, address, credentials, counters=counters)
        except OSError as error:
            raise ConfigurationError(
                f"smartbox.coap_host, smartbox.coap_port: {address[0]}:{address[1]} cannot be "
                f"bound: {error.strerror}"
            ) from None

    async def _open_page(self, page: StatusPage) -> str:
        try:
            return await page.start()
        except OSError as error:
            raise ConfigurationError(
                f"smartbox.status_port: {self._settings.status_port} cannot be bound: "
                f"{error.strerror}"
            ) from None


def _calibration(settings: SmartBoxSettings, bridge: WeighbridgeSettings) -> Calibration | None:
    path = bridge.weighing.calibration_file if bridge.weighing else None
    return read_calibration(path, settings, bridge) if path else None


def _write_ready(directory: Path, ready: Ready) -> None:
    """Say in a file where the SmartBox listens: `smartbox status` reads it."""
    draft = directory / (READY_FILE + ".new")
    content = {
        "station": ready.station,
        "coap": [ready.coap_host, ready.coap_port],
        "status_url": ready.status_url,
    }
    try:
        draft.write_text(json.dumps(content) + "\n", "utf-8")
        draft.rename(directory / READY_FILE)
    except OSError as error:
        raise StorageUnavailable(f"{draft}: {error.strerror}") from None
