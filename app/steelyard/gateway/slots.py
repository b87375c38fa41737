"""How much may be under way at once: of each client at each node, and in memory altogether."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from steelyard.gateway.errors import GatewayBusy


def _busy(detail: str) -> GatewayBusy:
    return GatewayBusy(detail, headers={"Retry-After": "1"})


class Slots:
    """So many requests of a client at a node; one that cannot go on waits, but not for long.

    A client that asks too much waits for itself alone.
    """

    def __init__(self, most: int, wait_seconds: float) -> None:
        self._wait = wait_seconds
        self._free: defaultdict[tuple[str, str], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(most)
        )

    @asynccontextmanager
    async def taken(self, client: str, node: str) -> AsyncIterator[None]:
        """Have a slot. Raises GatewayBusy when none became free in time."""
        slot = self._free[client, node]
        try:
            async with asyncio.timeout(self._wait):
                await slot.acquire()
        except TimeoutError:
            raise _busy("This client has too many requests under way at this node.") from None
        try:
            yield
        finally:
            slot.release()


class Memory:
    """Bytes of bodies that may be held at once."""

    def __init__(self, most: int) -> None:
        self._free = most

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Have room for a body. Raises GatewayBusy when there is none."""
        if size > self._free:
            raise _busy("Too many large requests are under way.")
        self._free -= size
        try:
            yield
        finally:
            self._free += size
