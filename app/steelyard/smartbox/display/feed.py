"""The stream of server-sent events (WHATWG HTML, 9.2) by which displays live.

Events: `station` once, `scales` with each new weight (up to RATE a second, at least two), `tickets`
when the outbox changed. Each holds the whole of what it tells, so a display that was slow, or was
away, needs nothing of what it missed: it gets the latest only.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from structlog import get_logger

from steelyard.smartbox.display.book import Book
from steelyard.smartbox.display.changes import Changes
from steelyard.smartbox.display.errors import TooManyDisplays
from steelyard.smartbox.errors import StorageUnavailable

log = get_logger(__name__)

RATE = 25  # events a second, most
LOOK_SECONDS = 0.25  # between two looks at the outbox
STALL_SECONDS = 10.0  # after which a browser that does not read is cut off
MOST_STREAMS = 16
SEND_BUFFER = 16_384  # bytes that the kernel keeps for a display: old weights are worth nothing

Json = dict[str, Any]


@dataclass(slots=True)
class _Event:
    """The latest event of a kind, and the number by which displays know whether they have it."""

    number: int
    data: bytes


@dataclass
class Feed:
    """Makes each event once, for all displays.

    `describe` gives what the scales show now; `changes` tells when that is worth a look.
    """

    describe: Callable[[], Json]
    book: Book
    changes: Changes
    shown: int
    streams: int = 0
    stalled: int = 0
    _events: dict[str, _Event] = field(default_factory=dict)
    _published: Changes = field(default_factory=Changes)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _version: int | None = None

    def start(self) -> None:
        """Begin to make events."""
        loop = asyncio.get_running_loop()
        for work in (self._follow_scales, self._follow_tickets):
            self._tasks.append(loop.create_task(self._for_ever(work), name=work.__name__))

    async def close(self) -> None:
        """End all streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._published.close()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                # A display that fails must not end the weighing.
                log.exception("the display's events failed")
                await asyncio.sleep(1)

    async def _follow_scales(self) -> None:
        number = 0
        while True:
            number = await self.changes.after(number)
            if self.streams:
                self._publish("scales", self.describe())
            await asyncio.sleep(1 / RATE)

    async def _follow_tickets(self) -> None:
        while True:
            if self.streams:
                await self._look_at_tickets()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_at_tickets(self) -> None:
        try:
            version = await self.book.version()
            if version == self._version and "tickets" in self._events:
                return
            entries = await self.book.last(self.shown)
            counts = await self.book.unsettled()
        except StorageUnavailable as problem:
            self._publish("tickets", {"tickets": [], "counts": {}, "error": problem.detail})
            return
        self._version = version
        self._publish("tickets", {"tickets": [one.as_json() for one in entries], "counts": counts})

    def _publish(self, kind: str, content: Json) -> None:
        number = self._published.number + 1
        self._events[kind] = _Event(number, encode(kind, content))
        self._published.tell()

    async def stream(self, request: web.Request, station: Json) -> web.StreamResponse:
        """Send events until the display goes, or does not read. Raises TooManyDisplays.

        To a HEAD it only says whether there is room.
        """
        if self.streams >= MOST_STREAMS:
            raise TooManyDisplays(f"at most {MOST_STREAMS} may be open")
        if request.method == "HEAD":
            return web.Response()
        if not self.streams:
            self._events.clear()  # nobody has kept them up to date
        self.streams += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            # What is kept may be of before another display's last look.
            self._publish("scales", self.describe())
            await self._send(request, response, encode("station", station))
        except ConnectionError:
            pass  # the display went
        finally:
            self.streams -= 1
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, first: bytes) -> None:
        transport = request.transport
        if transport is None:
            return
        _keep_little(transport)
        await response.write(b"retry: 1000\n" + first)
        sent, stalled_since = 0, None
        clock = asyncio.get_running_loop().time
        while not self._published.closed:
            number = await self._published.after(sent)
            if transport.is_closing():
                return
            if transport.get_write_buffer_size():
                stalled_since = stalled_since or clock()
                if clock() - stalled_since > STALL_SECONDS:
                    self.stalled += 1
                    log.info("a display does not read: cut off")
                    transport.abort()
                    return
                # What it missed is not made up for: the next event has all of it.
                await self._published.after(number)
                continue
            stalled_since = None
            due = [event.data for event in self._events.values() if event.number > sent]
            sent = number
            if due:
                await response.write(b"".join(due))


def encode(kind: str, content: Json) -> bytes:
    """One event; JSON has no line breaks of its own, so it is one line of data."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\ndata: {text}\n\n".encode()


def _keep_little(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
