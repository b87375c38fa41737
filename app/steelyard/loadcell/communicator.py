"""Sending one sample after the other, each until it is acknowledged."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import Awaitable, Callable

from steelyard.errors import Problem
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import SampleRefused, SmartBoxAway
from steelyard.loadcell.position import Position
from steelyard.loadcell.renewal import Renewal
from steelyard.loadcell.reporting import Report
from steelyard.loadcell.sender import CoapSender, Sender, open_client
from steelyard.loadcell.source import Reading
from steelyard.loadcell.sources import make_source
from steelyard.loadcell.stream import Stream


class Communicator:
    """Sends readings in order, from where it was. Nothing is skipped, whatever is away."""

    def __init__(
        self,
        config: LoadCellConfig,
        sender: Sender,
        position: Position,
        report: Report,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._sender = sender
        self._position = position
        self._report = report
        self._sleep = sleep
        self.refused = 0

    async def run(self) -> None:
        """Send until the source ends. Raises BadSource, PositionUnavailable, AdcUnavailable."""
        source = make_source(self._config, self._sleep)
        if not source.lasting:
            await Stream(self._config, self._sender, self._position, self._report).run(source)
            return
        async for reading in source.readings(self._position.next):
            await self._deliver(reading)

    async def _deliver(self, reading: Reading) -> None:
        pause = self._config.backoff_seconds
        away = False
        while True:
            try:
                await self._sender.send(reading)
            except SmartBoxAway as problem:
                if not away:
                    self._report("smartbox away", detail=problem.detail)
                away = True
                # By chance between half and all: the cells of a station must not come back at once.
                await self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load only
                pause = min(pause * 2, self._config.backoff_limit_seconds)
            except SampleRefused as problem:
                self._refuse(reading, problem)
                break
            else:
                if away:
                    self._report("smartbox back")
                break
        self._position.advance(reading.sequence + 1)

    def _refuse(self, reading: Reading, problem: SampleRefused) -> None:
        self.refused += 1
        self._report("sample refused", sequence=reading.sequence, detail=problem.detail)
        kept = {
            "sequence": reading.sequence,
            "time": reading.time,
            "kg": str(reading.kilograms),
            "refused": problem.detail,
        }
        self._position.keep_refused(json.dumps(kept))


def report_to_stderr(serial: str) -> Report:
    """JSON lines on standard error, as the other processes write them."""

    def report(event: str, **fields: object) -> None:
        print(json.dumps({"message": event, "cell": serial, **fields}), file=sys.stderr, flush=True)

    return report


async def _run(config: LoadCellConfig, report: Report) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    position = Position(config.position_file)
    client = await open_client(config)
    communicator = Communicator(config, CoapSender(client, config), position, report)
    sending: asyncio.Task[object] = asyncio.create_task(communicator.run())
    stopping: asyncio.Task[object] = asyncio.create_task(stop.wait())
    tasks = [sending, stopping]
    if config.renewal_seconds:
        tasks.append(asyncio.create_task(Renewal(config, client, report).run()))
    report("load cell ready", first=position.next)
    try:
        await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
            report("all sent", next=position.next, refused=communicator.refused)
            if not config.once:
                await stopping
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.shutdown()
        position.close()
    return 1 if communicator.refused else 0


def run_loadcell(config: LoadCellConfig, report: Report | None = None) -> int:
    """Run a load cell until SIGTERM or, with `once`, until its file is sent; the exit status.

    1 when a sample was refused for good. Raises Problem subclasses for a bad file or certificate.
    May be called in a child that was forked from a process which has imported this module, so
    that many cells share its memory.
    """
    return asyncio.run(_run(config, report or report_to_stderr(config.serial)))


def run_forked(config: LoadCellConfig) -> int:
    """`run_loadcell` for a forked child: a Problem becomes one line and exit status 1."""
    try:
        return run_loadcell(config)
    except Problem as problem:
        report_to_stderr(config.serial)("load cell stopped", detail=str(problem))
        return 1
