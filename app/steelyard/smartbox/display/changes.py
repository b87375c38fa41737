"""Telling displays that there is something new to show."""

import asyncio


class Changes:
    """Counts what changes; any number of displays wait for the next change."""

    def __init__(self) -> None:
        self.number = 0
        self.closed = False
        self._next: asyncio.Future[None] | None = None

    def tell(self) -> None:
        """Something changed."""
        self.number += 1
        waited, self._next = self._next, None
        if waited is not None and not waited.done():
            waited.set_result(None)

    def close(self) -> None:
        """Nothing will change any more: whoever waits goes home."""
        self.closed = True
        self.tell()

    async def after(self, number: int) -> int:
        """The number of the latest change once it is above `number`."""
        while self.number <= number:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            # Many wait for this one: none of them may cancel it.
            await asyncio.shield(self._next)
        return self.number
