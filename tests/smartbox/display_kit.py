"""A station's display over a real storage and real sockets; the cells are fed by hand.

Time stands still between two samples, so that what a display shows is what a test left there.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from smartbox_kit import START_MS, Stage, until

from steelyard.smartbox.display.changes import Changes
from steelyard.smartbox.display.operator import MAX_BODY_BYTES
from steelyard.smartbox.display.service import DisplayService, loopback_door
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.models import Sample
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.status import Status
from steelyard.smartbox.timing import Stamp
from steelyard.ticket import Receipt

CELLS = {"wb-1": ("C11", "C12", "C13", "C14"), "wb-2": ("C21", "C22", "C23", "C24")}
TRUCK = (8_000, 6_000, 9_000, 7_000)
DEAD = 1_000
WEIGHING: dict[str, Any] = {
    "filter_seconds": 0.5,
    "stable_seconds": 0.5,
    "hold_seconds": 0.3,
    "mode": "operator",
}
TRANSACTION = "0x" + "ab" * 32


def routes_of(application: web.Application) -> set[tuple[str, str]]:
    """Method and path of all that an application serves; HEAD goes with GET."""
    return {
        (route.method, route.resource.canonical)
        for route in application.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }


class Front:
    """The display of `station-1`, served on a loopback port."""

    def __init__(self, stage: Stage, directory: Path, weighing: Any = None, **changes: Any) -> None:
        values = stage.settings(directory, "https://localhost")
        bridges = [
            dict(one, weighing=WEIGHING | (weighing or {})) for one in values["weighbridges"]
        ]
        self.settings = stage.load(
            directory, "https://localhost", **({"weighbridges": bridges} | changes)
        )
        self.now = START_MS
        self.sequence = 0
        self.failures: list[BaseException] = []

    async def start(self) -> "Front":
        directory = self.settings.data_directory
        self.recorder = await Recorder.open(lambda: Storage.open(directory, "station-1"))
        self.outbox = self.recorder.storage.outbox
        self.status = Status(lambda: self.now)
        changes = Changes()
        cycled = [(one, None) for one in self.settings.weighbridges if one.weighing]
        self.live = LiveStation(
            self.recorder,
            cycled,
            ("station-1", "T1", 1),
            self.status,
            lambda: self.now,
            stamp=lambda time: Stamp("b", time, known=True),
            on_ticket=lambda: None,
            on_failure=self.failures.append,
            on_change=changes.tell,
        )
        self.display = DisplayService(
            self.settings, self.live, self.status, changes, lambda: self.now
        )
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        self.display.add_to(application, loopback_door())
        self.runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.live.start()
        self.remote = await self.display.start()
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = aiohttp.ClientSession()
        return self

    async def close(self) -> None:
        await self.session.close()
        await self.runner.cleanup()
        await self.display.close()
        await self.live.close()
        await self.recorder.close()
        assert self.failures == []

    async def stand(self, seconds: float, *kilograms: float, silent: str = "") -> None:
        """Let so much stand on wb-1, by cell; nothing by default, and nothing on wb-2.

        The cell `silent` says nothing.
        """
        loads = {"wb-1": kilograms or (0,) * 4, "wb-2": (0,) * 4}
        carried = [
            (cell, load)
            for bridge, cells in CELLS.items()
            for cell, load in zip(cells, loads[bridge], strict=True)
            if cell != silent
        ]
        for _ in range(round(seconds * 10)):
            self.now += 100
            self.sequence += 1
            for number, (cell, load) in enumerate(carried):
                noise = Decimal((self.sequence + number) % 3) / 10
                raw = Decimal(str(DEAD + load)) + noise
                await self.live.take(Sample(cell, self.now, self.sequence, raw))

    async def press(self, action: str, bridge: str = "wb-1", **body: Any) -> tuple[int, Any]:
        """Press a button as the page does; the status and the JSON."""
        url = f"{self.url}/weighbridges/{bridge}/{action}"
        async with self.session.post(url, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def weigh(self, *kilograms: float, vehicle: str | None = None) -> str:
        """A truck comes, has its ticket, and goes; the ticket's id."""
        await self.stand(1.5)
        await self.stand(2, *(kilograms or TRUCK))
        if vehicle is not None:
            assert (await self.press("vehicle", vehicle=vehicle))[0] == 200
        assert (await self.press("ticket"))[0] == 200
        before = self.status.counters["tickets"]
        await self.stand(1, *(kilograms or TRUCK))
        await until(lambda: self.status.counters["tickets"] > before)
        await self.stand(2)
        waiting = await self.recorder.run(self.outbox.waiting, 1000)
        return waiting[-1].id

    async def register(self, ticket_id: str, block: int = 7) -> None:
        """As the uplink does with a receipt."""
        receipt = Receipt(ticket_id=ticket_id, transaction_hash=TRANSACTION, block_number=block)
        await self.recorder.run(self.outbox.settle, [receipt], ())

    async def refuse(self, ticket_id: str, detail: str) -> None:
        """As the uplink does with a refusal."""
        problem = {"status": 422, "title": "The request is not valid", "detail": detail}
        await self.recorder.run(self.outbox.settle, (), [(ticket_id, problem)])

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.read()

    async def events(self) -> AsyncIterator[tuple[str, Any]]:
        """The display's events, for ever."""
        async with self.session.get(self.url + "/display/events") as answer:
            assert answer.status == 200
            kind = ""
            async for line in answer.content:
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    yield kind, json.loads(line[6:])

    async def told(self, kind: str, condition: Any = lambda _: True) -> Any:
        """The first event of a kind that meets a condition, of a new stream."""
        async with asyncio.timeout(60):
            async for found, content in self.events():
                if found == kind and condition(content):
                    return content
        raise AssertionError("the stream ended")
