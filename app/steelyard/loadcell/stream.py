"""Sending a stream of readings: the newest are what counts."""

import asyncio
from collections import deque
from itertools import pairwise, takewhile

from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import SampleRefused, SmartBoxAway
from steelyard.loadcell.position import Position
from steelyard.loadcell.reporting import Report
from steelyard.loadcell.sender import Sender
from steelyard.loadcell.source import Reading
from steelyard.loadcell.sources import Source

MAX_WAITING = 128
# Numbers are set aside on the disk by so many: a cell that starts again skips some, repeats none.
RESERVED = 10_000
CELSIUS_STEP = 0.2
CELSIUS_MS = 30_000


class Stream:
    """Gathers readings into packs and sends them one after the other."""

    def __init__(
        self, config: LoadCellConfig, sender: Sender, position: Position, report: Report
    ) -> None:
        self._config = config
        self._sender = sender
        self._position = position
        self._report = report
        self._waiting: deque[Reading] = deque(maxlen=MAX_WAITING)
        self._come = asyncio.Event()
        self._away = False
        self._told: Reading | None = None
        self.dropped = 0

    async def run(self, source: Source) -> None:
        """Read and send until the source ends. Raises what the source raises."""
        reading = asyncio.create_task(self._read(source))
        try:
            while not reading.done() or self._waiting:
                await self._wait(reading)
                if self._waiting:
                    await self._send()
            reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, source: Source) -> None:
        start = self._position.next
        self._position.advance(start + RESERVED)
        async for reading in source.readings(start):
            if reading.sequence >= self._position.next:
                self._position.advance(reading.sequence + RESERVED)
            self.dropped += len(self._waiting) == MAX_WAITING
            self._waiting.append(reading)
            if len(self._waiting) >= self._config.pack_samples:
                self._come.set()

    async def _wait(self, reading: asyncio.Task[None]) -> None:
        coming = asyncio.create_task(self._come.wait())
        try:
            await asyncio.wait({coming, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            coming.cancel()
        self._come.clear()

    def _next_pack(self) -> list[Reading]:
        """The oldest readings with numbers that follow each other; the rest goes next."""
        waiting = list(self._waiting)
        follow = takewhile(lambda two: two[1].sequence == two[0].sequence + 1, pairwise(waiting))
        pack = [waiting[0], *(later for _, later in follow)]
        for _ in pack:
            self._waiting.popleft()
        if len(self._waiting) >= self._config.pack_samples:
            self._come.set()
        return pack

    async def _send(self) -> None:
        pack = self._next_pack()
        try:
            await self._tell_celsius(pack[-1])
            await self._sender.send_pack(pack)
        except SmartBoxAway as problem:
            if not self._away:
                self._report("smartbox away", detail=problem.detail)
            self._away = True
            self.dropped += len(pack)
            await asyncio.sleep(self._config.backoff_seconds)
        except SampleRefused as problem:
            self.dropped += len(pack)
            self._report("samples refused", first=pack[0].sequence, detail=problem.detail)
        else:
            if self._away:
                self._report("smartbox back", dropped=self.dropped)
            self._away = False

    async def _tell_celsius(self, reading: Reading) -> None:
        """Now and then, or when it has changed."""
        told = self._told
        if reading.celsius is None:
            return
        if told is not None and told.celsius is not None:
            changed = abs(reading.celsius - told.celsius) >= CELSIUS_STEP
            if not changed and reading.time - told.time < CELSIUS_MS:
                return
        await self._sender.send_celsius(reading)
        self._told = reading
