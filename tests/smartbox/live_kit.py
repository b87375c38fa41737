"""A SmartBox whose first weighbridge has a cycle, and the cells of a small world under it."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from smartbox_kit import FakePlatform, Stage

from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.position import Position
from steelyard.loadcell.sender import CoapSender, open_client
from steelyard.loadcell.source import Reading
from steelyard.loadcell.sources import now_ms
from steelyard.loadcell.stream import Stream
from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.recorder import ALIBI_FILE
from steelyard.smartbox.service import Ready, SmartBox

CELLS = ("C11", "C12", "C13", "C14")
KILOGRAMS = (8_000, 6_000, 9_000, 7_000)


def live_settings(stage: Stage, data: Path, url: str, **weighing: Any) -> Any:
    """The station of the kit, its first weighbridge with a cycle."""
    values = stage.settings(data, url)
    bridges = [dict(bridge) for bridge in values["weighbridges"]]
    bridges[0]["weighing"] = {
        "filter_seconds": 0.3,
        "stable_seconds": 0.3,
        "hold_seconds": 0.2,
        "rate_hz": 20,
        **weighing,
    }
    return stage.load(data, url, weighbridges=bridges)


class World:
    """What each cell carries now, and who stops the cells."""

    def __init__(self) -> None:
        self.kilograms = dict.fromkeys(CELLS, 1_000.0)
        self.silent: set[str] = set()

    def load(self, *kilograms: float) -> None:
        """Put a load on the bridge, by cell."""
        for cell, own in zip(CELLS, kilograms, strict=True):
            self.kilograms[cell] = 1_000.0 + own


class WorldSource:
    """A cell of the world, 50 times a second, with a little noise."""

    lasting = False

    def __init__(self, world: World, cell: str) -> None:
        self._world, self._cell = world, cell

    async def readings(self, start: int) -> Any:
        sequence, last = start, 0
        while True:
            await asyncio.sleep(0.02)
            time = max(now_ms(), last + 1)
            last = time
            noise = Decimal(sequence % 3) / 10
            value = Decimal(str(self._world.kilograms[self._cell])) + noise
            if self._cell not in self._world.silent:
                yield Reading(sequence, time, value, 20.0)
            sequence += 1


async def stream_cell(
    stage: Stage, world: World, cell: str, port: int, directory: Path, pack: int = 4
) -> None:
    """One cell's stream over DTLS, until it is cancelled."""
    config: LoadCellConfig = stage.cell(cell, port, directory, pack_samples=pack)
    position = Position(config.position_file)
    client = await open_client(config)
    try:
        stream = Stream(config, CoapSender(client, config), position, lambda *_, **__: None)
        await stream.run(WorldSource(world, cell))
    finally:
        await client.shutdown()
        position.close()


class Running:
    """A SmartBox whose first weighbridge has a cycle, with the cells of a world."""

    def __init__(self, stage: Stage, platform: FakePlatform, directory: Path) -> None:
        self.stage, self.platform, self.directory = stage, platform, directory
        self.world = World()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, **weighing: Any) -> None:
        settings = live_settings(self.stage, self.directory / "data", self.platform.url, **weighing)
        self.box = SmartBox(settings)
        ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.running = asyncio.create_task(self.box.run(ready.set_result))
        await asyncio.wait({self.running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self.running.done():
            self.running.result()
        self.url = ready.result().status_url
        self.port = ready.result().coap_port
        for cell in CELLS:
            work = stream_cell(self.stage, self.world, cell, self.port, self.directory)
            self.tasks.append(asyncio.create_task(work))
        self.session = aiohttp.ClientSession()

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        await self.session.close()
        self.box.stop()
        await self.running

    async def scale(self) -> dict[str, Any]:
        async with self.session.get(self.url) as answer:
            page = await answer.json()
        return page["scales"]["wb-1"]

    async def shows(self, **wanted: Any) -> dict[str, Any]:
        """Wait until the scale shows this."""
        async with asyncio.timeout(60):
            while True:
                scale = await self.scale()
                if all(scale.get(name) == value for name, value in wanted.items()):
                    return scale
                await asyncio.sleep(0.02)

    async def press(self, action: str, **body: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.url}weighbridges/wb-1/{action}"
        async with self.session.post(url, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    def records(self) -> list[dict[str, Any]]:
        path = self.directory / "data" / ALIBI_FILE
        return [record.body for record in read_all(path)]
