"""Sending the outbox to the platform, for as long as it takes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from structlog import get_logger

from steelyard.smartbox.answers import Answers
from steelyard.smartbox.errors import BatchRefused, PlatformProblem, StorageUnavailable
from steelyard.smartbox.outbox import Waiting
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.status import Status

log = get_logger(__name__)

PLATFORM_ALARM = "platform"
REFUSED_ALARM = "refused-tickets"
LOOK_SECONDS = 30.0


class Registrar(Protocol):
    """Who takes the batches: the platform."""

    async def register(self, tickets: Sequence[Waiting]) -> Answers:
        """See `Platform.register`."""
        ...


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


class Uplink:
    """One batch at a time, the oldest tickets first.

    A batch that is refused as a whole is halved until the one ticket is found that the platform
    does not take; it is set aside with the reason and the rest goes on.
    """

    def __init__(
        self,
        recorder: Recorder,
        registrar: Registrar,
        status: Status,
        *,
        batch_size: int,
        batch_bytes: int,
        batch_age: float,
        backoff: Backoff,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._status = status
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._batch_age = batch_age
        self._backoff = backoff
        self._sleep = sleep
        self._limit = batch_size
        self._waiting = asyncio.Event()

    def wake(self) -> None:
        """There is a new ticket."""
        self._waiting.set()

    async def run(self) -> None:
        """Send until cancelled. Raises StorageUnavailable when an answer cannot be stored.

        Nothing that the platform answers ends it: it is an alarm, and tried again later.
        """
        while True:
            self._waiting.clear()
            batch = await self._next_batch()
            if not batch:
                await self._wait_for_ticket()
                if self._batch_age:
                    await self._sleep(self._batch_age)
                continue
            try:
                await self._attempt(batch)
            except PlatformProblem as problem:
                await self._pause(problem.detail, problem.retry_after or 0.0)
            except StorageUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - no answer of the platform ends weighing
                kind = type(error).__name__
                log.warning("answer not understood", error=kind)
                await self._pause(f"the platform's answer could not be used: {kind}", 0.0)

    async def _attempt(self, batch: list[Waiting]) -> None:
        try:
            await self._send(batch)
        except BatchRefused as problem:
            await self._narrow(batch, problem)

    async def _pause(self, detail: str, at_least: float) -> None:
        self._status.count("failed_requests")
        self._status.raise_alarm(PLATFORM_ALARM, detail)
        await self._sleep(max(self._backoff.pause(), at_least))

    async def _wait_for_ticket(self) -> None:
        # `smartbox requeue` writes from another process: look by oneself now and then.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.wait(), LOOK_SECONDS)

    async def _next_batch(self) -> list[Waiting]:
        storage = self._recorder.storage
        tickets = await self._recorder.run(storage.outbox.waiting, self._limit)
        size = 0
        batch: list[Waiting] = []
        for ticket in tickets:
            size += len(ticket.body.encode()) + 1
            if batch and size > self._batch_bytes:
                break
            batch.append(ticket)
        return batch

    async def _send(self, batch: list[Waiting]) -> None:
        outbox = self._recorder.storage.outbox
        await self._recorder.run(outbox.mark_sending, [ticket.id for ticket in batch])
        answers = await self._registrar.register(batch)
        await self._recorder.run(outbox.settle, answers.receipts, answers.refusals)
        self._status.count("receipts", len(answers.receipts))
        if answers.refusals:
            self._note_refused(len(answers.refusals))
        if answers.later:
            raise PlatformProblem(f"the platform could not take {len(answers.later)} tickets yet")
        self._limit = min(self._limit * 2, self._batch_size)
        self._backoff.reset()
        self._status.clear_alarm(PLATFORM_ALARM)
        log.info("tickets registered", count=len(answers.receipts))

    async def _narrow(self, batch: list[Waiting], problem: BatchRefused) -> None:
        self._status.count("refused_batches")
        if len(batch) > 1:
            self._limit = max(1, len(batch) // 2)
            return
        outbox = self._recorder.storage.outbox
        await self._recorder.run(outbox.settle, (), [(batch[0].id, problem.problem)])
        self._note_refused(1)

    def _note_refused(self, count: int) -> None:
        self._status.count("refusals", count)
        self._status.raise_alarm(
            REFUSED_ALARM, "the platform refused tickets: see `steelyard smartbox refused`"
        )
        log.error("tickets refused", count=count)
