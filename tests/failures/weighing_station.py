"""A station that weighs without a pause: a SmartBox's own storage, uplink and client, and beside it
senders of single tickets, so that several transactions of the station's key are always under way.
"""

import asyncio
import json
import random
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Self

import aiohttp
from platform_process import Platform as PlatformProcess

from steelyard.smartbox.errors import PlatformProblem
from steelyard.smartbox.intake.emission import TicketBuilder
from steelyard.smartbox.intake.station import Station
from steelyard.smartbox.models import Sample
from steelyard.smartbox.outbox.outbox import Waiting
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.settings import CellSettings, SmartBoxSettings, WeighbridgeSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.batches import Limits
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.smartbox.uplink.platform import Platform
from steelyard.smartbox.uplink.uplink import Uplink
from steelyard.ticket import CellWeight, Receipt, Ticket

STATION = "station-1"
SCALES = {"wb-1": "WB01", "wb-2": "WB02"}
CELLS = {"wb-1": ("C1", "C2"), "wb-2": ("C3", "C4")}
SENDERS = 4
WEIGHING_SECONDS = 0.15
BATCH = 25
IN_FLIGHT = 4
REPEAT_SECONDS = 0.5
MINUTE_MS = 60_000

BRIDGES = {
    name: WeighbridgeSettings(
        name=name,
        scale_serial=scale,
        scale_interval_grams=20_000,
        max_capacity_grams=60_000_000,
        cells=tuple(CellSettings(serial=serial) for serial in CELLS[name]),
    )
    for name, scale in SCALES.items()
}
# As a SmartBox is delivered, and smaller, so that a short test has many requests.
DELIVERED = Limits(
    **{
        name: SmartBoxSettings.model_fields[field].default
        for name, field in (
            ("batch_size", "batch_size"),
            ("batch_bytes", "batch_bytes"),
            ("batch_age", "batch_age_seconds"),
            ("batches_in_flight", "batches_in_flight"),
        )
    }
)
SMALL = replace(DELIVERED, batch_size=BATCH, batches_in_flight=IN_FLIGHT)


class StationClock:
    """The station's clock in milliseconds, which a test sets back; one for all tests."""

    def __init__(self) -> None:
        self._offset = 0
        self._latest = 0
        self._weighed: int | None = None

    def weighing(self) -> int:
        """The time of the next weighing: a minute after the last one, while it runs fast."""
        if self._weighed is None:
            return self.now()
        self._weighed += MINUTE_MS
        return self._weighed

    def run_fast(self) -> None:
        """Weighings are a minute apart from now on, to the millisecond."""
        self._weighed = self.now()

    def now(self) -> int:
        """The time, never the same twice in a row."""
        moment = time.time_ns() // 1_000_000 + self._offset
        self._latest = self._latest + 1 if moment == self._latest else moment
        return self._latest

    def set_back(self, milliseconds: int) -> None:
        """What a wrong hand or a bad time server does."""
        self._offset -= milliseconds
        if self._weighed is not None:
            self._weighed -= milliseconds

    def right(self) -> None:
        """The true time again."""
        self._offset = 0
        self._weighed = None


@dataclass
class Ledgered:
    """What a station knows of its tickets: the ones made, and the ones with a receipt."""

    made: dict[str, Ticket] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    refused: dict[str, object] = field(default_factory=dict)
    made_at: dict[str, float] = field(default_factory=dict)
    acknowledged_at: dict[str, float] = field(default_factory=dict)

    def make(self, ticket: Ticket) -> None:
        self.made[ticket.id] = ticket
        self.made_at[ticket.id] = time.monotonic()

    def acknowledge(self, receipt: Receipt) -> None:
        known = self.receipts.setdefault(receipt.ticket_id, receipt)
        assert known == receipt, "one ticket has one receipt"
        self.acknowledged_at.setdefault(receipt.ticket_id, time.monotonic())

    def recovery(self, since: float) -> float:
        """Seconds from a moment until a ticket that was made after it was acknowledged."""
        return min(
            acknowledged - since
            for ticket_id, acknowledged in self.acknowledged_at.items()
            if self.made_at.get(ticket_id, 0) >= since
        )

    def longest_silence(self) -> float:
        """The most seconds between two acknowledgements."""
        return max(after - before for before, after in pairwise(self.acknowledged_at.values()))


class _Noting:
    """The client of the platform, noting when a receipt came."""

    def __init__(self, platform: Platform, book: Ledgered) -> None:
        self._platform = platform
        self._book = book

    async def register(self, tickets, head=None):
        answers = await self._platform.register(tickets, head)
        for receipt in answers.receipts:
            self._book.acknowledge(receipt)
        self._book.refused |= dict(answers.refusals)
        return answers


class WeighingStation:
    """One test's flow of tickets; the storage in `directory` goes on with the next test's."""

    def __init__(
        self,
        directory: Path,
        process: PlatformProcess,
        credentials: tuple[str, str],
        clock: StationClock,
        *,
        offline: bool = False,
    ) -> None:
        """An `offline` one makes no ticket and sends none before it is told to."""
        self.book = Ledgered()
        self._offline = offline
        self.status = Status(clock.now)
        self.weighed: list[str] = []
        self._directory = directory
        self._process = process
        self._credentials = credentials
        self._clock = clock
        self._sequence = time.monotonic_ns()
        self._weighing = True
        self._stack = AsyncExitStack()
        self._flow: list[asyncio.Task[None]] = []
        self._sending: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        recorder = await Recorder.open(lambda: Storage.open(self._directory, STATION))
        self._stack.push_async_callback(recorder.close)
        self._recorder = recorder
        connector = aiohttp.TCPConnector(ssl=self._process.tls())
        session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=130)
        )
        await self._stack.enter_async_context(session)
        client_id, client_secret = self._credentials
        client = Platform(
            session,
            management_url=self._process.management_url,
            tickets_url=self._process.tickets_url,
            client_id=client_id,
            client_secret=client_secret,
        )
        self._client = _Noting(client, self.book)
        uplink = Uplink(
            recorder,
            self._client,
            self.status,
            DELIVERED if self._offline else SMALL,
            backoff=Backoff(0.2, 2.0, random.random),
        )
        restart = await recorder.run(recorder.storage.outbox.count_start)
        builder = TicketBuilder(STATION, "T1", restart, BRIDGES)
        self._station = Station(
            recorder,
            builder,
            {serial: name for name, serials in CELLS.items() for serial in serials},
            self.status,
            deadline=10,
            on_ticket=uplink.wake,
            on_failure=self._fail,
        )
        self._stack.push_async_callback(self._station.close)
        self._run = uplink.run
        if self._offline:
            return self
        self.connect()
        self._flow = [asyncio.create_task(self._weigh())]
        self._flow += [asyncio.create_task(self._send_singly(n)) for n in range(SENDERS)]
        return self

    def connect(self) -> None:
        """Send what the outbox has, from now on."""
        self._sending.append(asyncio.create_task(self._run()))

    async def weigh_offline(self, count: int) -> None:
        """So many weighings on both weighbridges in turn, each with its ticket in the outbox."""
        for number in range(count):
            await self._weigh_once("wb-2" if number % 2 else "wb-1")

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._sending, *self._flow]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    def _fail(self, error: BaseException) -> None:
        self._failure = error

    def check(self) -> None:
        """Raise what ended a part of the station."""
        if self._failure is not None:
            raise self._failure
        for task in [*self._sending, *self._flow]:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def _weigh(self) -> None:
        """Weighings as the load cells report them: each cell repeats until its sample is taken."""
        while self._weighing:
            await self._weigh_once("wb-1")
            await asyncio.sleep(WEIGHING_SECONDS)

    async def _weigh_once(self, bridge: str) -> None:
        moment = self._clock.weighing()
        self._sequence += 1
        weights = (4_000 + 20 * (self._sequence % 500), 6_000)
        samples = [
            Sample(cell, moment, self._sequence, Decimal(weight))
            for cell, weight in zip(CELLS[bridge], weights, strict=True)
        ]
        await asyncio.gather(*(self._station.take(sample) for sample in samples))
        outbox = self._recorder.storage.outbox
        ticket_id = await self._recorder.run(outbox.ticket_of, samples[0], any_sequence=False)
        assert ticket_id is not None
        grams = tuple(weight * 1000 for weight in weights)
        ticket = _ticket(ticket_id, bridge, moment, sum(grams), grams)
        # The terminal's restart value is the SmartBox's business, and compared as it sent it.
        self.book.make(ticket)
        self.weighed.append(ticket_id)

    async def _send_singly(self, number: int) -> None:
        """One ticket after the other, each repeated until it is acknowledged."""
        while self._weighing:
            moment = self._clock.now()
            ticket_id = f"{STATION}_wb-2_{moment}"
            if ticket_id in self.book.made:
                await asyncio.sleep(0)
                continue
            gross = 10_000_000 + 20_000 * number
            ticket = _ticket(ticket_id, "wb-2", moment, gross, (gross - 4_000_000, 4_000_000))
            self.book.make(ticket)
            waiting = Waiting(ticket_id, json.dumps(ticket.as_json()))
            while ticket_id not in self.book.receipts and ticket_id not in self.book.refused:
                with suppress(PlatformProblem):
                    await self._client.register([waiting])
                    continue
                await asyncio.sleep(REPEAT_SECONDS)

    async def acknowledged(self, more: int, seconds: float = 240) -> None:
        """Until so many more tickets have a receipt."""
        wanted = len(self.book.receipts) + more
        async with asyncio.timeout(seconds):
            while len(self.book.receipts) < wanted:
                self.check()
                await asyncio.sleep(0.05)

    async def drain(self, seconds: float = 240) -> None:
        """Weigh no more, and wait until every ticket is acknowledged."""
        self._weighing = False
        async with asyncio.timeout(seconds):
            while len(self.book.receipts) + len(self.book.refused) < len(self.book.made):
                self.check()
                await asyncio.sleep(0.05)
            await asyncio.gather(*self._flow)

    async def outbox(self) -> dict[str, int]:
        """How many tickets the SmartBox has in each state."""
        return await self._recorder.run(self._recorder.storage.outbox.counts)


def _ticket(ticket_id: str, bridge: str, moment: int, gross: int, cells: tuple[int, ...]) -> Ticket:
    return Ticket(
        id=ticket_id,
        terminal_serial="T1",
        terminal_restart=1,
        timestamp=moment,
        scale_serial=SCALES[bridge],
        status="ok",
        gross=gross,
        tare=0,
        net=gross,
        vehicle=None,
        cells=tuple(
            CellWeight(serial=serial, weight=grams)
            for serial, grams in zip(CELLS[bridge], cells, strict=True)
        ),
    )
