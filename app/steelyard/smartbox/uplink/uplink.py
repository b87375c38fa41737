"""Sending the outbox to the platform, for as long as it takes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from structlog import get_logger

from steelyard.smartbox.errors import (
    BatchRefused,
    PlatformProblem,
    PlatformUnreached,
    StorageFull,
    StorageUnavailable,
)
from steelyard.smartbox.outbox.outbox import Waiting
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.status import Status
from steelyard.smartbox.uplink.answers import Answers
from steelyard.smartbox.uplink.batches import Batch, Batches, Limits
from steelyard.smartbox.uplink.pace import Backoff, Pace
from steelyard.ticket import AlibiHead

log = get_logger(__name__)

PLATFORM_ALARM = "platform"
REFUSED_ALARM = "refused-tickets"
LOOK_SECONDS = 30.0


class Registrar(Protocol):
    """Who takes the batches, several side by side: the platform."""

    async def register(self, tickets: Sequence[Waiting], head: AlibiHead | None = None) -> Answers:
        """See `Platform.register`."""
        ...


class Uplink:
    """Several batches side by side, the oldest tickets first, at one pace for all of them.

    A batch that is refused as a whole is halved until the one ticket is found that the platform
    does not take; it is set aside with the reason and the rest goes on.
    """

    def __init__(
        self,
        recorder: Recorder,
        registrar: Registrar,
        status: Status,
        limits: Limits,
        *,
        backoff: Backoff,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._recorder = recorder
        self._registrar = registrar
        self._status = status
        self._batch_age = limits.batch_age
        self._sleep = sleep
        self._batches = Batches(recorder, limits)
        self._pace = Pace(limits.batches_in_flight, backoff, sleep)
        self._changed = asyncio.Event()
        self._new_ticket = False

    def wake(self) -> None:
        """There is a new ticket."""
        self._new_ticket = True
        self._changed.set()

    async def run(self) -> None:
        """Send until cancelled. Raises StorageUnavailable when an answer cannot be stored.

        A full disk is waited for.

        Nothing that the platform answers ends it: it is an alarm, and tried again later. When it
        ends, no request is under way any more.
        """
        await self._show_refused()
        try:
            async with asyncio.TaskGroup() as group:
                await self._dispatch(group)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        """Begin a batch whenever there is one and one more may be under way."""
        while True:
            self._changed.clear()
            self._new_ticket = False
            if not self._may_begin():
                await self._changed.wait()
            elif (batch := await self._batches.next()) is None:
                await self._wait_for_ticket()
            elif self._may_begin():  # a failure may have come while the outbox was read
                self._batches.take(batch)
                group.create_task(self._carry(batch, self._pace.round))

    def _may_begin(self) -> bool:
        return self._pace.allows(self._batches.under_way)

    async def _wait_for_ticket(self) -> None:
        # `smartbox requeue` writes from another process: look by oneself now and then.
        await self._show_refused()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
        if self._new_ticket and self._batch_age:
            await self._sleep(self._batch_age)

    async def _carry(self, batch: Batch, began: int) -> None:
        """One batch from its request to its end, or to the end of the pause after its failure."""
        try:
            await self._attempt(batch, began)
        except PlatformProblem as problem:
            await self._wait_out(batch, began, problem)
        except StorageFull as full:
            # Nothing was stored, and nothing is lost: the same tickets give the same answers.
            await self._wait_out(batch, began, PlatformUnreached(full.detail))
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - no answer of the platform ends weighing
            await self._wait_out(batch, began, _not_understood(error))
        finally:
            self._changed.set()

    async def _attempt(self, batch: Batch, began: int) -> None:
        try:
            answers = await self._send(batch)
        except BatchRefused as problem:
            await self._narrow(batch, problem)
            return
        self._batches.settle(batch)
        if answers.later:
            raise PlatformProblem(f"the platform could not take {len(answers.later)} tickets yet")
        if self._pace.succeeded(began):
            self._status.clear_alarm(PLATFORM_ALARM)
        log.info("tickets registered", count=len(answers.receipts))

    async def _send(self, batch: Batch) -> Answers:
        storage = self._recorder.storage
        head = await self._recorder.run(storage.begin_sending, batch.ids)
        answers = await self._registrar.register(batch.tickets, head)
        settle = storage.outbox.settle
        refused = await self._recorder.run(settle, answers.receipts, answers.refusals)
        self._status.count("receipts", len(answers.receipts))
        if answers.refusals:
            self._note_refused(len(answers.refusals), refused)
        return answers

    async def _narrow(self, batch: Batch, problem: BatchRefused) -> None:
        self._status.count("refused_batches")
        if len(batch.tickets) > 1:
            self._batches.halve(batch)
            return
        outbox = self._recorder.storage.outbox
        refusal = (batch.tickets[0].id, problem.problem)
        refused = await self._recorder.run(outbox.settle, (), [refusal])
        self._batches.settle(batch)
        self._note_refused(1, refused)

    async def _wait_out(self, batch: Batch, began: int, problem: PlatformProblem) -> None:
        """Let the failed batch go again, after the pause that the failure brings for all."""
        self._batches.give_back(batch)
        self._status.count("failed_requests")
        self._status.raise_alarm(PLATFORM_ALARM, problem.detail)
        # Who was not reached has not pushed back: after a week offline all may go at once.
        pushed_back = not isinstance(problem, PlatformUnreached)
        await self._pace.failed(began, problem.retry_after or 0.0, pushed_back=pushed_back)

    def _note_refused(self, count: int, refused: int) -> None:
        """So many tickets were refused now, and so many wait for a person."""
        self._status.count("refusals", count)
        log.error("tickets refused", count=count)
        self._show(refused)

    async def _show_refused(self) -> None:
        """The alarm is up as long as a refused ticket waits for a person, over restarts too."""
        self._show(await self._recorder.run(self._recorder.storage.outbox.open_refusals))

    def _show(self, count: int) -> None:
        if count:
            self._status.raise_alarm(
                REFUSED_ALARM,
                f"{count} tickets were refused by the platform and are set aside: see `steelyard "
                "smartbox refused`, then requeue or dismiss them",
            )
        else:
            self._status.clear_alarm(REFUSED_ALARM)


def _not_understood(error: Exception) -> PlatformProblem:
    """Its kind only: what the platform wrote, or a secret, may stand in the rest."""
    kind = type(error).__name__
    log.warning("answer not understood", error=kind)
    return PlatformProblem(f"the platform's answer could not be used: {kind}")
