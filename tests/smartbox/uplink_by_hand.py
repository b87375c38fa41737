"""An uplink whose requests and pauses a test ends by hand, step by step.

Nothing here waits for time or for a thread: after `calm` all that could happen has happened.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from steelyard.smartbox.alibi.format import Head, Record
from steelyard.smartbox.errors import PlatformProblem, PlatformUnreached
from steelyard.smartbox.outbox.outbox import Outbox, Waiting
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.answers import Answers
from steelyard.smartbox.uplink.batches import Limits
from steelyard.smartbox.uplink.pace import Backoff
from steelyard.smartbox.uplink.uplink import Uplink
from steelyard.ticket import AlibiHead, Receipt

STEPS = 400


class AtOnce(Executor):
    """Runs a call where it is submitted."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future


class Held:
    """What is waited for until the test ends it: a request, or a pause."""

    def __init__(self, what: Any) -> None:
        self.what = what
        self._end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Any:
        return await self._end

    def end(self, outcome: Any = None) -> None:
        if isinstance(outcome, Exception):
            self._end.set_exception(outcome)
        else:
            self._end.set_result(outcome)


class ByHand:
    """An uplink over an outbox in memory. `requests` and `pauses` are what is under way.

    Both are in the order in which they began; a request's `what` is its tickets' ids.
    """

    def __init__(self, **limits: Any) -> None:
        self.outbox = Outbox.open(Path(":memory:"))
        self.status = Status(lambda: 0)
        self.requests: list[Held] = []
        self.pauses: list[Held] = []
        self.made = 0
        # The uplink takes any exception of a request for the platform's: they are raised in `calm`.
        self._broken: list[AssertionError] = []
        self._limits = Limits(
            **(
                {
                    "batch_size": 2,
                    "batch_bytes": 262_144,
                    "batch_age": 0.0,
                    "batches_in_flight": 4,
                }
                | limits
            )
        )
        self.start()

    def start(self) -> None:
        storage: Any = SimpleNamespace(outbox=self.outbox, begin_sending=self.outbox.mark_sending)
        self.uplink = Uplink(
            Recorder(storage, AtOnce()),  # type: ignore[arg-type] # as much of one as is used
            self,
            self.status,
            self._limits,
            backoff=Backoff(1.0, 8.0, lambda: 1.0),
            sleep=self._pause,
        )
        self.running = asyncio.create_task(self.uplink.run())

    async def register(self, tickets: Sequence[Waiting], head: AlibiHead | None = None) -> Answers:
        ids = [ticket.id for ticket in tickets]
        try:
            self.begins(ids)
        except AssertionError as error:
            self._broken.append(error)
        answers: Answers = await self._hold(self.requests, ids)
        return answers

    def begins(self, ids: list[str]) -> None:
        """A request begins: no ticket is in two, and none in a pause."""
        assert not {*ids} & {one for request in self.requests for one in request.what}
        assert self.pauses == []

    async def _pause(self, seconds: float) -> None:
        await self._hold(self.pauses, seconds)

    @staticmethod
    async def _hold(held: list[Held], what: Any) -> Any:
        one = Held(what)
        held.append(one)
        try:
            return await one.wait()
        finally:
            held.remove(one)

    async def weigh(self, count: int) -> None:
        """New tickets: t_1, t_2 and so on."""
        self.queue(count)
        await self.calm()

    def queue(self, count: int) -> None:
        """New tickets of which the uplink has only just heard."""
        for _ in range(count):
            self.made += 1
            body = {"ticket": {"ticketID": f"t_{self.made}"}, "samples": []}
            head = Head(self.made, b"", self.made)
            self.outbox.add(Record(body | {"weighbridge": "wb-1", "time": self.made}, head))
        self.uplink.wake()

    async def answer(self, index: int, outcome: Answers | Exception) -> None:
        """End one of the requests."""
        self.requests[index].end(outcome)
        await self.calm()

    async def take(self, index: int = 0) -> None:
        """Let one of the requests end well."""
        await self.answer(index, taken(self.requests[index].what))

    async def go_on(self, index: int = 0) -> None:
        """End one of the pauses."""
        self.pauses[index].end()
        await self.calm()

    async def calm(self) -> None:
        """Until nothing happens by itself any more."""
        for _ in range(STEPS):
            await asyncio.sleep(0)
        for error in self._broken:
            raise error

    async def stop(self) -> None:
        """What a shutdown does. Nothing that the uplink began is left."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        assert self.requests == []
        assert self.pauses == []

    def under_way(self) -> list[list[str]]:
        """The tickets' ids of each request."""
        return [request.what for request in self.requests]


def receipt(ticket_id: str) -> Receipt:
    number = int(ticket_id.rpartition("_")[2])
    return Receipt(ticket_id=ticket_id, transaction_hash=f"0x{number:064x}", block_number=number)


def taken(ids: Sequence[str], later: Sequence[str] = ()) -> Answers:
    """The platform's answer to a batch that it takes, perhaps without some tickets."""
    done = tuple(receipt(one) for one in ids if one not in later)
    return Answers(done, (), tuple(later))


def unreached() -> PlatformProblem:
    return PlatformUnreached("no connection")


def busy(seconds: float | None = None) -> PlatformProblem:
    return PlatformProblem("busy", retry_after=seconds)
