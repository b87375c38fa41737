"""Tickets of many requests, gathered into few private transactions.

A transaction costs the privacy managers the same for one ticket as for two hundred. So tickets of a
station that arrive while others of it are under way wait a moment for company; one that finds
nothing under way goes at once. Several transactions are under way side by side, up to a limit; what
comes beyond it waits, and when too many wait, callers are told to come again.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from steelyard.ledger.errors import LedgerBusy, NodeUnavailable
from steelyard.ledger.protocol import ContractWriter, Ledger, Registration
from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import AlibiHead, Ticket

_RETRY_AFTER = "1"  # about a block's time: until then something has gone, or the ledger stands


@dataclass(slots=True, eq=False)
class _Item:
    """A ticket on its way. `done` gives its outcome to everybody who asked for this very ticket."""

    ticket: Ticket
    alibi_head: AlibiHead | None
    since: float
    done: asyncio.Future[Registration]


@dataclass(slots=True)
class _Queue:
    """One station's tickets: those that wait, and all that wait or are under way by their ids."""

    writer: ContractWriter
    waiting: deque[_Item] = field(default_factory=deque)
    by_id: dict[str, _Item] = field(default_factory=dict)
    under_way: int = 0
    timer: asyncio.TimerHandle | None = None


class Gatherer:
    """Registers through a ledger. One per process, event loop and ledger."""

    def __init__(self, ledger: Ledger, settings: LedgerSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._queues: dict[ContractWriter, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def register(
        self,
        writer: ContractWriter,
        tickets: Sequence[Ticket],
        alibi_head: AlibiHead | None = None,
    ) -> list[Registration]:
        """One outcome a ticket, in order; see `Ledger.register`, whose problems these are.

        Of the alibi heads of the requests that share a transaction it carries the last one.

        Raises LedgerBusy, with nothing taken, when too many of the station's tickets wait. A caller
        that is cancelled leaves its tickets on their way. Where several ask for the same ticket
        at once, it is sent once, and one of them is told that it was created.
        """
        left = dict(enumerate(tickets))
        outcomes: dict[int, Registration] = {}
        while left:
            asked = self._ask(writer, left, alibi_head)
            # Every ticket comes to its end before the first failure is told.
            await asyncio.wait([item.done for item, _ in asked.values()])
            for place, (item, first) in asked.items():
                result = _outcome(item)
                if left[place] == item.ticket:
                    del left[place]
                    outcomes[place] = replace(result, created=result.created and first)
            # What is left is another ticket under an id that was under way: its turn is now.
        return [outcomes[place] for place in range(len(tickets))]

    async def close(self) -> None:
        """Take nothing more, refuse what still waits, and let what is under way come to its end."""
        self._closed = True
        for queue in self._queues.values():
            if queue.timer is not None:
                queue.timer.cancel()
            for item in queue.waiting:
                _fail(item, NodeUnavailable("The platform is shutting down"))
            queue.waiting.clear()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=self._settings.send_timeout)
        for task in set(self._tasks):
            task.cancel()

    def waiting(self) -> int:
        """How many tickets wait for a transaction, of all stations."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    def under_way(self) -> int:
        """How many transactions are under way, of all stations."""
        return sum(queue.under_way for queue in self._queues.values())

    def _ask(
        self, writer: ContractWriter, tickets: Mapping[int, Ticket], head: AlibiHead | None
    ) -> dict[int, tuple[_Item, bool]]:
        """Put tickets on their way; of each its item, and whether it is new. Raises LedgerBusy."""
        if self._closed:
            raise NodeUnavailable("The platform is shutting down")
        queue = self._queue_of(writer)
        if queue.waiting and len(queue.waiting) + len(tickets) > self._settings.gather_tickets:
            raise LedgerBusy(
                f"{len(queue.waiting)} tickets of this station wait for their transaction, and at "
                f"most {self._settings.gather_tickets} may",
                headers={"Retry-After": _RETRY_AFTER},
            )
        asked = {place: self._take(queue, ticket, head) for place, ticket in tickets.items()}
        self._cut(queue)
        return asked

    def _queue_of(self, writer: ContractWriter) -> _Queue:
        queue = self._queues.get(writer)
        if queue is None:
            queue = self._queues[writer] = _Queue(writer)
        return queue

    def _take(self, queue: _Queue, ticket: Ticket, head: AlibiHead | None) -> tuple[_Item, bool]:
        """The item of this ticket's id, and whether it is new."""
        item = queue.by_id.get(ticket.id)
        if item is not None:
            return item, False
        item = _Item(ticket, head, monotonic(), asyncio.get_running_loop().create_future())
        queue.waiting.append(item)
        queue.by_id[ticket.id] = item
        return item, True

    def _cut(self, queue: _Queue) -> None:
        """Send full batches, what has waited long enough, and what finds nothing under way."""
        settings = self._settings
        while queue.waiting and queue.under_way < settings.max_in_flight:
            ripe_in = queue.waiting[0].since + settings.gather_seconds - monotonic()
            full = len(queue.waiting) >= settings.max_batch
            if not full and queue.under_way and ripe_in > 0:
                self._look_again(queue, ripe_in)
                return
            size = min(len(queue.waiting), settings.max_batch)
            batch = [queue.waiting.popleft() for _ in range(size)]
            queue.under_way += 1
            task = asyncio.create_task(self._send(queue, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _look_again(self, queue: _Queue, seconds: float) -> None:
        if queue.timer is None:

            def ripe() -> None:
                queue.timer = None
                self._cut(queue)

            queue.timer = asyncio.get_running_loop().call_later(seconds, ripe)

    async def _send(self, queue: _Queue, batch: Sequence[_Item]) -> None:
        problem: BaseException = NodeUnavailable("The platform is shutting down")
        outcomes: Sequence[Registration | None] = [None] * len(batch)
        try:
            head = latest([item.alibi_head for item in batch])
            tickets = [item.ticket for item in batch]
            outcomes = await self._ledger.register(queue.writer, tickets, head)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers'
            problem = error
        finally:
            queue.under_way -= 1
            for item, outcome in zip(batch, outcomes, strict=True):
                queue.by_id.pop(item.ticket.id, None)
                if outcome is None:
                    _fail(item, problem)
                elif not item.done.done():
                    item.done.set_result(outcome)
            self._cut(queue)
            if not queue.waiting and not queue.under_way:
                # The queue holds the station's key, which must not outlast its use.
                self._queues.pop(queue.writer, None)


def latest(heads: Sequence[AlibiHead | None]) -> AlibiHead | None:
    """Of some heads of one station, the one that stands for most."""
    known = [head for head in heads if head is not None]
    return max(known, key=lambda head: (head.sequence, head.hash), default=None)


def _outcome(item: _Item) -> Registration:
    """What became of a ticket that came to its end. Raises what its transaction failed with."""
    problem = item.done.exception()
    if problem is not None:
        # Told to many: no caller's stack must hang on it, nor what is in that.
        raise problem.with_traceback(None)
    return item.done.result()


def _fail(item: _Item, problem: BaseException) -> None:
    if not item.done.done():
        item.done.set_exception(problem)
        item.done.exception()  # seen, should every caller have gone meanwhile
