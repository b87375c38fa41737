"""The one writer: alibi memory first, then the outbox, in one thread and in this order.

A crash between the two is mended at the next start: what stands in the alibi memory and not in
the outbox is queued then. Where the disk was full between the two, the ticket is issued, as the
alibi memory has it; it is queued before anything else is written, or as soon as there is room.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from steelyard.smartbox.alibi.format import Record
from steelyard.smartbox.alibi.keeping import Keeping
from steelyard.smartbox.alibi.memory import AlibiMemory, Sync, sync_directory
from steelyard.smartbox.errors import AlibiDamaged, StorageFull, StorageUnavailable
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.room import Room
from steelyard.smartbox.timing import KnownTime, correct
from steelyard.ticket import AlibiHead, Ticket

ALIBI_FILE = "alibi.memory"
OUTBOX_FILE = "outbox.sqlite"

Result = TypeVar("Result")


class Storage:
    """What a SmartBox has on its disk. All methods block."""

    def __init__(
        self, alibi: AlibiMemory, outbox: Outbox, room: Room, behind: list[Record], *, replay: bool
    ) -> None:
        self.alibi = alibi
        self.outbox = outbox
        self.room = room
        self._behind = behind  # what the alibi memory has and the outbox has not
        self._replay = replay

    @classmethod
    def open(
        cls,
        directory: Path,
        station: str,
        *,
        replay: bool = False,
        reserve: int = 0,
        sync: Sync = os.fsync,
    ) -> Self:
        """Open both, and queue what a crash left between them.

        Of the disk's space, `reserve` bytes are not for tickets (see `Room`).

        In a replay a cell and a time name one row, so that a cell that begins again from its
        first row makes no second ticket. Raises StorageUnavailable, AlibiDamaged,
        ConfigurationError.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            outbox = Outbox.open(directory / OUTBOX_FILE)
            sync_directory(directory, sync)
        except OSError as error:
            raise StorageUnavailable(f"{directory}: {error.strerror}") from None
        try:
            known = outbox.head()
            lost = known is None
            alibi, records = AlibiMemory.open(directory / ALIBI_FILE, station, known, sync=sync)
        except BaseException:
            outbox.close()
            raise
        storage = cls(alibi, outbox, Room(directory, reserve), records, replay=replay)
        try:
            storage._check_start(lost=lost)
            storage.mend()
        except BaseException:
            storage.close()
            raise
        return storage

    def mend(self) -> int:
        """Queue what the outbox lacks: how many. Raises StorageFull, StorageUnavailable."""
        queued = 0
        while self._behind:
            self.outbox.add(self._behind[0])
            del self._behind[0]
            queued += 1
        return queued

    def _check_start(self, *, lost: bool) -> None:
        """An outbox that was lost is made again from what the alibi memory still has.

        Otherwise it knows with which record the memory begins. Raises AlibiDamaged.
        """
        first, kept_from = self.alibi.segments()[0].first, self.outbox.kept_from()
        if first > kept_from and not lost:
            raise AlibiDamaged(
                f"{self.alibi.path}: record {kept_from}: is missing, the memory begins with record "
                f"{first}"
            )
        if first > kept_from:
            self.outbox.keep_from(first)

    def look_up(self, moment: Moment, sample: Sample) -> tuple[bool, tuple[Sample, ...]]:
        """Whether the sample is stored already, and what is set aside for its weighing."""
        if self.outbox.ticket_of(sample, any_sequence=self._replay) is not None:
            return True, ()
        aside = self.outbox.samples_set_aside(moment)
        return sample in aside, aside

    def record(
        self, joined: Joined, draft: Ticket, details: Mapping[str, Any] | None = None
    ) -> str:
        """Make the ticket durable and queue it; the same weighing again gives its first ticket.

        `details` are what the alibi record says of the weighing beside the ticket.

        The draft's id ends in its time; when that id is taken (a clock that was set back), only
        the id's number grows until it is free. Raises StorageFull, then the ticket is in none
        of the books; and StorageUnavailable, then the alibi memory may hold the ticket, and only
        a restart may go on.

        A ticket that the alibi memory has is issued, also where the outbox found no room for it:
        it is queued later, and whoever weighs must not weigh the load again.
        """
        self.mend()
        for sample in joined.samples:
            known = self.outbox.ticket_of(sample, any_sequence=self._replay)
            if known is not None:
                return known
        self.room.check()
        ticket = self._with_free_id(draft)
        body = {
            "ticket": ticket.as_json(),
            "weighbridge": joined.moment.weighbridge,
            "time": joined.moment.time,
            "samples": [sample.as_list() for sample in joined.samples],
        }
        if details is not None:
            body["weighing"] = dict(details)
        self._append(body)
        with suppress(StorageFull):
            self.mend()
        return ticket.id

    def _append(self, body: dict[str, Any]) -> None:
        self._behind.append(self.alibi.append(body))

    def set_times(self, known: KnownTime) -> int:
        """Let the tickets go that waited for the time, each corrected where it must be.

        How many were corrected. Raises StorageFull, StorageUnavailable; what was not corrected
        waits on.
        """
        self.mend()
        corrected = 0
        for untimed in self.outbox.untimed():
            body = correct(untimed, known)
            self.room.check()
            self._append(body)
            self.mend()
            corrected += bool(body["correction"]["changes"])
        return corrected

    def tidy(self, now: int, years: int) -> Keeping:
        """Begin a new file of the alibi memory when it is time, and drop what need not be kept.

        `now` in milliseconds since the epoch, by a clock that is known to be right. Raises
        StorageFull, StorageUnavailable.
        """
        self.mend()
        try:
            keeping = Keeping.plan(self.alibi, now, years, self.outbox.first_open())
            if keeping.begins_segment:
                self.alibi.begin_segment(now)
            if keeping.keep_from > self.outbox.kept_from():
                self.outbox.keep_from(keeping.keep_from)
            self.alibi.remove_segments(self.outbox.kept_from())
        except OSError as error:
            raise StorageUnavailable(f"{self.alibi.path}: {error.strerror}") from None
        return keeping

    def _with_free_id(self, draft: Ticket) -> Ticket:
        prefix, number = draft.id.rsplit("_", 1)
        candidate, milliseconds = draft.id, int(number)
        while self.outbox.has(candidate):
            milliseconds += 1
            candidate = f"{prefix}_{milliseconds}"
        return draft if candidate == draft.id else draft.model_copy(update={"id": candidate})

    def begin_sending(self, ids: Sequence[str]) -> AlibiHead | None:
        """Note that these tickets are about to leave; how far the alibi memory goes now."""
        self.outbox.mark_sending(ids)
        head = self.alibi.head
        if not head.sequence:
            return None
        return AlibiHead(sequence=head.sequence, hash=head.hash.hex())

    def close(self) -> None:
        """Release both files."""
        self.alibi.close()
        self.outbox.close()


class Recorder:
    """Runs the storage's blocking calls in one thread, in the order in which they are asked."""

    def __init__(self, storage: Storage, executor: ThreadPoolExecutor) -> None:
        self.storage = storage
        self._executor = executor

    @classmethod
    async def open(cls, opener: Callable[[], Storage]) -> Self:
        """Open the storage in the thread that will own it."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")
        try:
            storage = await asyncio.get_running_loop().run_in_executor(executor, opener)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(storage, executor)

    async def run(self, call: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Call one of the storage's methods in its thread.

        A call that was begun runs to its end even when the caller is cancelled.
        """
        future = self._executor.submit(call, *args, **kwargs)
        return await asyncio.shield(asyncio.wrap_future(future))

    async def close(self) -> None:
        """Finish what was asked, then release the storage."""
        await self.run(self.storage.close)
        self._executor.shutdown(wait=True)
