"""Which tickets go next: each in one batch at most, the oldest first."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.smartbox.outbox.outbox import Waiting
from steelyard.smartbox.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a batch is, how long a ticket waits for company, how many batches go at a time."""

    batch_size: int
    batch_bytes: int
    batch_age: float
    batches_in_flight: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tickets for one request. A `suspect` is a part of a batch that was refused as a whole."""

    tickets: tuple[Waiting, ...]
    suspect: bool = False

    @property
    def ids(self) -> list[str]:
        """The tickets' ids, in their order."""
        return [ticket.id for ticket in self.tickets]


class Batches:
    """What is under way, and what is next.

    The outbox is read for one batch at a time, when it may begin: there is never more in memory
    than may be under way. The halves of a refused batch are kept as they are and go before
    anything else, also after a failure: a platform that fails now and then would otherwise begin
    the halving anew each time, and it might never come to its end.
    """

    def __init__(self, recorder: Recorder, limits: Limits) -> None:
        self._recorder = recorder
        self._limits = limits
        self._under_way: list[Batch] = []
        self._suspects: deque[Batch] = deque()

    @property
    def under_way(self) -> int:
        """How many batches were taken, and neither settled nor given back."""
        return len(self._under_way)

    async def next(self) -> Batch | None:
        """The oldest tickets that are in no batch, as many as one may hold; see `take`."""
        if self._suspects:
            return self._suspects[0]
        known = [ticket for batch in (*self._under_way, *self._suspects) for ticket in batch.ids]
        tickets = await self._recorder.run(
            self._recorder.storage.outbox.waiting, self._limits.batch_size, without=known
        )
        return Batch(_fitting(tickets, self._limits.batch_bytes)) if tickets else None

    def take(self, batch: Batch) -> None:
        """The batch that `next` gave is under way; nothing else was taken since."""
        if batch.suspect:
            self._suspects.remove(batch)
        self._under_way.append(batch)

    def settle(self, batch: Batch) -> None:
        """What the outbox still calls waiting of this batch may go in others."""
        self._under_way.remove(batch)

    def give_back(self, batch: Batch) -> None:
        """The batch was not answered: it goes again. No effect on one that is settled."""
        if batch in self._under_way:
            self._under_way.remove(batch)
            if batch.suspect:
                self._suspects.appendleft(batch)

    def halve(self, batch: Batch) -> None:
        """The batch was refused as a whole: its halves go next, each by itself."""
        self._under_way.remove(batch)
        middle = len(batch.tickets) // 2
        halves = (batch.tickets[:middle], batch.tickets[middle:])
        self._suspects.extendleft(Batch(half, suspect=True) for half in reversed(halves))


def _fitting(tickets: Sequence[Waiting], most: int) -> tuple[Waiting, ...]:
    """The first tickets that have so many bytes at most, but one in any case."""
    size = 0
    for index, ticket in enumerate(tickets):
        size += len(ticket.body.encode()) + 1
        if index and size > most:
            return tuple(tickets[:index])
    return tuple(tickets)
