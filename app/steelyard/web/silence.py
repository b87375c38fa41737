"""Closes connections that were opened and on which no request's head arrives.

aiohttp limits the time between requests, but not the time to the first one.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

logger = structlog.get_logger(__name__)


class Connection(Protocol):
    """What is needed of a connection of aiohttp's server."""

    def force_close(self) -> None:
        """Close it now."""
        ...


class SilentConnections:
    """Knows which connections have spoken. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spoken: set[Connection] = set()
        self._silent: dict[Connection, float] = {}

    def heard(self, connection: Connection) -> None:
        """A request's head arrived on the connection."""
        self._spoken.add(connection)

    def sweep(self, connections: Collection[Connection], seconds: float) -> int:
        """Close those of the open connections that have been silent for so long; how many."""
        now = self._clock()
        self._spoken.intersection_update(connections)
        silent = set(connections) - self._spoken
        self._silent = {one: self._silent.get(one, now) for one in silent}
        late = [one for one, since in self._silent.items() if now - since >= seconds]
        for one in late:
            one.force_close()
        return len(late)

    async def watch(
        self, connections: Callable[[], Collection[Connection]], seconds: float
    ) -> None:
        """Sweep again and again, until cancelled."""
        while True:
            await asyncio.sleep(seconds / 4)
            if closed := self.sweep(connections(), seconds):
                logger.info("silent connections closed", count=closed)
