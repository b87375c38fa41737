"""How fast a station may send: what it makes of the platform's troubles and successes."""

from collections.abc import Awaitable, Callable


class Backoff:
    """Pauses that double up to a limit, each shortened by chance so that stations spread out."""

    def __init__(self, first: float, limit: float, chance: Callable[[], float]) -> None:
        self._first = first
        self._limit = limit
        self._chance = chance
        self._next = first

    def pause(self) -> float:
        """Seconds to wait now: between half and all of the current pause."""
        current = self._next
        self._next = min(self._next * 2, self._limit)
        return current * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._next = self._first


class Pace:
    """How many batches may be under way, and when the next may begin: one for the station.

    What becomes of a batch is told with the `round` in which it began. The first failure of a
    round begins the next one. A trouble that meets several batches counts once so: of those that
    began before it was known, the other failures bring no longer pause and the successes no hope.
    """

    def __init__(
        self, most: int, backoff: Backoff, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._most = most
        self._backoff = backoff
        self._sleep = sleep
        self._window = most
        self._pauses = 0
        self.round = 0

    def allows(self, under_way: int) -> bool:
        """Whether one more batch may begin beside these."""
        return not self._pauses and under_way < self._window

    def succeeded(self, began: int) -> bool:
        """A batch went well: there may be one more, and the next pause is the first again.

        False if it began before the last failure, and so says nothing of the time after it.
        """
        if began != self.round:
            return False
        self._window = min(self._window + 1, self._most)
        self._backoff.reset()
        return True

    async def failed(self, began: int, retry_after: float, *, pushed_back: bool) -> None:
        """A batch failed: return after the pause, in which none begins.

        If the platform `pushed_back`, half as many may be under way. Pauses run side by side, so
        the longest wish of the platform holds, whichever batch it was told to.
        """
        pause = retry_after
        if began == self.round:
            self.round += 1
            pause = max(pause, self._backoff.pause())
            if pushed_back:
                self._window = max(1, self._window // 2)
        if not pause:
            return
        self._pauses += 1
        try:
            await self._sleep(pause)
        finally:
            self._pauses -= 1
