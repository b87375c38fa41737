"""Taking samples: join, weigh, record, and only then say that a sample is taken.

A cell's answer waits until its weighing is a durable ticket, or is durably set aside. So a crash
at any moment leaves the cells with every sample that is not on the disk, and they repeat it.
"""

import asyncio
from collections.abc import Callable, Mapping

from structlog import get_logger

from steelyard.smartbox.errors import (
    NoSuchWeighing,
    NotWeighable,
    OutOfRange,
    SampleConflict,
    StorageFull,
    StorageUnavailable,
    UnknownCell,
)
from steelyard.smartbox.intake.emission import TicketBuilder
from steelyard.smartbox.intake.joiner import Joiner
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.room import ALARM as DISK_FULL
from steelyard.smartbox.status import Status

log = get_logger(__name__)

SILENT_CELLS = "silent-cells"


class Station:
    """The weighbridges of one station.

    `weighbridge_of` maps each known cell to its weighbridge; `deadline` is in seconds;
    `on_ticket` is called after each new ticket, `on_failure` once the storage has failed, for
    only a restart finds out what it holds.
    """

    def __init__(
        self,
        recorder: Recorder,
        builder: TicketBuilder,
        weighbridge_of: Mapping[str, str],
        status: Status,
        *,
        deadline: float,
        on_ticket: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._recorder = recorder
        self._builder = builder
        self._weighbridge_of = weighbridge_of
        self._status = status
        self._deadline = deadline
        self._on_ticket = on_ticket
        self._on_failure = on_failure
        self._joiner = Joiner(builder.cells_of)
        self._taken: dict[Moment, asyncio.Future[None]] = {}
        self._timers: dict[Moment, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def resume(self) -> None:
        """Look again at what was set aside: a corrected row or setting may make it a ticket."""
        outbox = self._recorder.storage.outbox
        for aside in await self._recorder.run(outbox.weighings_set_aside):
            moment = Moment(aside["weighbridge"], aside["time"])
            samples = await self._recorder.run(outbox.samples_set_aside, moment)
            self._status.raise_alarm(f"{aside['reason']}:{moment.weighbridge}", aside["detail"])
            if moment.weighbridge in self._weighbridge_of.values():
                self._open(moment, samples)
                if self._joiner.joined(moment) is not None:
                    self._settle_soon(moment)
                else:
                    self._timers.pop(moment).cancel()
                    self._joiner.close(moment)
                    del self._taken[moment]

    async def take(self, sample: Sample) -> None:
        """Return once the sample is part of a durable ticket or durably set aside.

        A sample that was taken before is taken again without effect. Raises UnknownCell,
        SampleConflict, StorageUnavailable.
        """
        weighbridge = self._weighbridge_of.get(sample.cell)
        if weighbridge is None:
            self._status.count("unknown_cells")
            raise UnknownCell(f"cell {sample.cell} stands under no weighbridge of this station")
        self._status.saw(sample.cell)
        moment = Moment(weighbridge, sample.time)
        if moment not in self._joiner:
            known, aside = await self._recorder.run(self._recorder.storage.look_up, moment, sample)
            if known:
                self._status.count("samples_repeated")
                return
            if moment not in self._joiner:
                self._open(moment, aside)
        taken = self._add(moment, sample)
        # Several cells wait for this one future: none of them may cancel it.
        await asyncio.shield(taken)

    def _open(self, moment: Moment, aside: tuple[Sample, ...]) -> None:
        loop = asyncio.get_running_loop()
        self._joiner.start(moment, aside)
        future: asyncio.Future[None] = loop.create_future()
        future.add_done_callback(_retrieve)
        self._taken[moment] = future
        self._timers[moment] = loop.call_later(self._deadline, self._settle_soon, moment)

    def _add(self, moment: Moment, sample: Sample) -> asyncio.Future[None]:
        taken = self._taken[moment]
        try:
            new = self._joiner.add(moment, sample)
        except SampleConflict as conflict:
            self._status.count("sample_conflicts")
            self._status.raise_alarm("sample-conflict", conflict.detail)
            raise
        self._status.count("samples_taken" if new else "samples_repeated")
        if new and self._joiner.joined(moment) is not None:
            self._settle_soon(moment)
        return taken

    def _settle_soon(self, moment: Moment) -> None:
        """Start the one task that ends this weighing; a running one sees the new sample itself."""
        timer = self._timers.pop(moment, None)
        if timer is None:
            return
        timer.cancel()
        task = asyncio.get_running_loop().create_task(self._settle(moment))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, StorageFull):
            self._on_failure(error)

    async def _settle(self, moment: Moment) -> None:
        """Make a ticket of the weighing, or set it aside, until no sample has come meanwhile."""
        try:
            samples: tuple[Sample, ...] = ()
            while samples != self._joiner.samples(moment):
                samples = self._joiner.samples(moment)
                joined = self._joiner.joined(moment)
                if joined is not None:
                    await self._emit(joined)
                    break
                await self._set_aside_silent(moment)
        except BaseException as error:
            self._joiner.close(moment)
            self._taken.pop(moment).set_exception(
                error if isinstance(error, StorageUnavailable) else StorageUnavailable()
            )
            if isinstance(error, StorageFull):
                # The cells were told nothing, and repeat their samples until there is room.
                self._status.count("tickets_without_room")
                self._status.raise_alarm(DISK_FULL, f"no tickets are issued: {error.detail}")
                raise
            self._status.raise_alarm("storage", "the storage failed; the SmartBox must restart")
            raise
        self._joiner.close(moment)
        self._taken.pop(moment).set_result(None)

    async def _emit(self, joined: Joined) -> None:
        moment = joined.moment
        try:
            draft = self._builder.build(joined)
        except NotWeighable as problem:
            self._status.raise_alarm(f"{problem.reason}:{moment.weighbridge}", problem.detail)
            await self._set_aside(moment, problem.reason, problem.detail)
            return
        await self._recorder.run(self._recorder.storage.record, joined, draft)
        self._status.count("tickets")
        self._status.clear_alarm(DISK_FULL)
        for reason in (SILENT_CELLS, NoSuchWeighing.reason, OutOfRange.reason):
            self._status.clear_alarm(f"{reason}:{moment.weighbridge}")
        self._on_ticket()

    async def _set_aside_silent(self, moment: Moment) -> None:
        detail = f"no sample from {', '.join(self._joiner.silent(moment))}"
        self._status.raise_alarm(f"{SILENT_CELLS}:{moment.weighbridge}", detail)
        await self._set_aside(moment, SILENT_CELLS, detail)

    async def _set_aside(self, moment: Moment, reason: str, detail: str) -> None:
        """Keep the samples durably. The cells may go on: a late one completes the weighing."""
        samples = self._joiner.samples(moment)
        storage = self._recorder.storage
        await self._recorder.run(storage.outbox.set_aside, moment, samples, reason, detail)
        self._status.count("weighings_set_aside")
        log.warning("weighing set aside", weighbridge=moment.weighbridge, reason=reason)

    async def close(self) -> None:
        """Let what is being written end; the cells repeat what was not acknowledged."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._taken.values():
            future.cancel()


def _retrieve(future: asyncio.Future[None]) -> None:
    """Mark an exception as seen: the cells that wait may all be gone."""
    if not future.cancelled():
        future.exception()
