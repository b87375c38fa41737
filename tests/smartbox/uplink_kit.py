"""An uplink over real sockets and a real storage."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from smartbox_kit import CLIENT_ID, SECRET, FakePlatform, Stage, expected_ticket, plan, until

from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.batches import Limits
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.smartbox.uplink.platform import Platform, make_timeout, make_tls_context
from steelyard.smartbox.uplink.uplink import Uplink


class Link:
    """An uplink over a real storage and a real HTTPS client; its sleeps are noted, and short."""

    def __init__(self, recorder: Recorder, url: str, ca_file: Path, **changes: Any) -> None:
        self.recorder = recorder
        self.status = Status(lambda: 0)
        self.sleeps: list[float] = []
        self.now = 0.0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=make_tls_context(ca_file)),
            timeout=make_timeout(changes.pop("timeout", 8.0)),
        )
        values = {"client_secret": SECRET, "clock": lambda: self.now}
        if "client_secret" in changes:
            values["client_secret"] = changes.pop("client_secret")
        self.platform = Platform(
            self._session,
            **({"management_url": url, "tickets_url": url, "client_id": CLIENT_ID} | values),
        )
        limits = {
            "batch_size": 100,
            "batch_bytes": 262_144,
            "batch_age": 0.0,
            "batches_in_flight": 8,
        }
        self.uplink = Uplink(
            recorder,
            self.platform,
            self.status,
            Limits(**(limits | changes)),
            backoff=Backoff(1.0, 8.0, lambda: 1.0),
            sleep=self._sleep,
        )
        self._task = asyncio.create_task(self.uplink.run())

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await asyncio.sleep(0.001)

    def counts(self) -> dict[str, int]:
        return self.recorder._executor.submit(self.recorder.storage.outbox.counts).result()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._session.close()


class Desk:
    """Queues tickets and opens links."""

    def __init__(self, recorder: Recorder, platform: FakePlatform, stage: Stage) -> None:
        self.recorder = recorder
        self.platform = platform
        self.stage = stage
        self.links: list[Link] = []

    async def queue(self, count: int) -> list[str]:
        """Record tickets; their ids."""
        given = []
        for weighing in plan(count):
            moment = Moment(weighing.bridge, weighing.time)
            samples = (Sample("C", weighing.time, weighing.time, 1),)
            joined = Joined(moment, samples)
            given.append(
                await self.recorder.run(
                    self.recorder.storage.record, joined, expected_ticket(weighing)
                )
            )
        return given

    def link(self, **changes: Any) -> Link:
        authority = changes.pop("ca_file", self.stage.https.certificate_path)
        self.links.append(Link(self.recorder, self.platform.url, authority, **changes))
        return self.links[-1]


async def registered(link: Link, count: int) -> None:
    """Wait until the outbox has so many receipts."""
    await until(lambda: link.counts()["registered"] == count)
