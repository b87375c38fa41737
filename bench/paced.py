"""The part of a SmartBox that the cells load, by a clock that goes as fast as samples are taken.

So its processor time is that of so many seconds of so many cells, however little of the machine
it gets. Server and cells are two processes; the server is forked, with everything imported.
"""

import asyncio
import multiprocessing
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from aiocoap import POST, Message

from box import CELLS_A_BRIDGE, STATION, Box
from steelyard.coap.client import ClientTimes, CoapClient, create_coap_client
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.senml import CONTENT_FORMAT, Sample, encode
from steelyard.coap.server import create_coap_server
from steelyard.smartbox import models
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.intake.resource import make_site
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.settings import WeighbridgeSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.timing import Stamp

START_MS = 1_600_000_000_000
PATIENT = ClientTimes(silence=3600, handshake=3600)


@dataclass(frozen=True, slots=True)
class Paced:
    """What the server used: processor seconds for so many seconds of samples, bytes (RSS)."""

    seconds: float
    messages: int
    cpu: float
    memory: int

    @property
    def share(self) -> float:
        """Of one core."""
        return self.cpu / self.seconds


class _Clocked:
    """An intake whose clock is the time of the newest sample."""

    def __init__(self) -> None:
        self.now = START_MS
        self.live: LiveStation

    def streams(self, cell: str) -> bool:
        return self.live.streams(cell)

    def take_stream(self, samples: Sequence[models.Sample]) -> None:
        self.now = max(self.now, samples[-1].time)
        self.live.take_stream(samples)

    async def take(self, sample: models.Sample) -> None:
        self.take_stream([sample])

    def warm(self, cell: str, celsius: float) -> None:
        self.live.warm(cell, celsius)


def paced(box: Box, core: int, rate: float, pack: int, seconds: float) -> Paced:
    """All of the box's cells for so many seconds of their time, in packs."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    directory = box.directory / f"paced-{pack}"
    server = context.Process(target=_serve, args=(theirs, box, core, rate, directory))
    server.start()
    try:
        found = asyncio.run(_drive(ours, box, rate, pack, seconds))
    finally:
        server.terminate()
        server.join()
    return found


def _serve(connection: Connection, box: Box, core: int, rate: float, directory: Path) -> None:
    os.sched_setaffinity(0, {core})
    asyncio.run(_run_server(connection, box, rate, directory))


async def _run_server(connection: Connection, box: Box, rate: float, directory: Path) -> None:
    intake, status = _Clocked(), Status(lambda: START_MS)
    recorder = await Recorder.open(lambda: Storage.open(directory, STATION))
    groups = range(0, len(box.serials), CELLS_A_BRIDGE)
    bridges = [
        WeighbridgeSettings(
            name=f"wb-{start}",
            scale_serial=f"WB{start}",
            scale_interval_grams=20_000,
            max_capacity_grams=60_000_000,
            cells=[{"serial": one} for one in box.serials[start:][:CELLS_A_BRIDGE]],
            weighing={"rate_hz": rate},
        )
        for start in groups
    ]
    intake.live = LiveStation(
        recorder,
        [(bridge, None) for bridge in bridges],
        (STATION, "T1", 1),
        status,
        lambda: intake.now,
        stamp=lambda time: Stamp("b", time, known=True),
        on_ticket=lambda: None,
        on_failure=lambda _: None,
    )
    counters = TransportCounters()
    leaf = box.smartbox
    credentials = Credentials(leaf.certificate_path, leaf.key_path, box.authority, None)
    site = make_site(STATION, intake, status, counters, lambda: intake.now)
    server = await create_coap_server(site, ("127.0.0.1", 0), credentials, counters=counters)
    connection.send(server.address[1])
    process = psutil.Process()
    loop = asyncio.get_running_loop()
    while True:
        await loop.run_in_executor(None, connection.recv)
        times = process.cpu_times()
        taken = status.counters["samples_taken"]
        connection.send((times.user + times.system, process.memory_info().rss, taken))


async def _drive(connection: Connection, box: Box, rate: float, pack: int, seconds: float) -> Paced:
    port: int = connection.recv()
    clients = [await _client(box, serial) for serial in box.serials]
    chance = random.Random(1)  # noqa: S311 - noise
    rounds = round(seconds * rate / pack)
    for number in range(-1, rounds):
        if number == 0:  # the handshakes are over
            cpu, _, before = _ask(connection)
        at = START_MS + (number + 1) * pack * 1000 / rate
        times = [(at + place * 1000 / rate) / 1000 for place in range(pack)]
        sequence = (number + 1) * pack
        await asyncio.gather(*(_send(one, port, sequence, times, chance) for one in clients))
    after, memory, taken = _ask(connection)
    if taken - before != rounds * pack * len(clients):
        raise RuntimeError(f"{taken - before} samples were taken")
    for client in clients:
        await client.shutdown()
    return Paced(seconds, rounds * len(clients), after - cpu, memory)


def _ask(connection: Connection) -> tuple[float, int, int]:
    connection.send(None)
    answer: tuple[float, int, int] = connection.recv()
    return answer


async def _client(box: Box, serial: str) -> CoapClient:
    issued = box.cells[serial]
    credentials = Credentials(issued.certificate_path, issued.key_path, box.authority, None)
    return await create_coap_client(credentials, times=PATIENT)


async def _send(
    client: CoapClient, port: int, sequence: int, times: list[float], chance: random.Random
) -> None:
    samples = [Sample(round(chance.gauss(0, 0.5), 3), round(time, 3), unit="kg") for time in times]
    message = Message(
        code=POST,
        uri=f"coaps://127.0.0.1:{port}/weight?sequence={sequence}",
        payload=encode(samples),
        content_format=CONTENT_FORMAT,
    )
    response = await client.request(message, handle_blockwise=False).response
    if not response.code.is_successful():
        raise RuntimeError(f"{response.code}: {response.payload!r}")
