"""The one writer: alibi memory first, then the outbox, in one thread and in this order.

A crash between the two is mended at the next start: what stands in the alibi memory and not in
the outbox is queued then.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from steelyard.smartbox.alibi import AlibiMemory, Sync, sync_directory
from steelyard.smartbox.errors import StorageUnavailable
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.outbox import Outbox
from steelyard.ticket import AlibiHead, Ticket

ALIBI_FILE = "alibi.memory"
OUTBOX_FILE = "outbox.sqlite"

Result = TypeVar("Result")


class Storage:
    """What a SmartBox has on its disk. All methods block."""

    def __init__(self, alibi: AlibiMemory, outbox: Outbox, *, replay: bool) -> None:
        self.alibi = alibi
        self.outbox = outbox
        self._replay = replay

    @classmethod
    def open(
        cls, directory: Path, station: str, *, replay: bool = False, sync: Sync = os.fsync
    ) -> Self:
        """Open both, and queue what a crash left between them.

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
            alibi, records = AlibiMemory.open(
                directory / ALIBI_FILE, station, outbox.head(), sync=sync
            )
        except BaseException:
            outbox.close()
            raise
        for record in records:
            outbox.add(record)
        return cls(alibi, outbox, replay=replay)

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
        the id's number grows until it is free. Raises StorageUnavailable; the alibi memory may
        hold the ticket then, and only a restart may go on.
        """
        for sample in joined.samples:
            known = self.outbox.ticket_of(sample, any_sequence=self._replay)
            if known is not None:
                return known
        ticket = self._with_free_id(draft)
        body = {
            "ticket": ticket.as_json(),
            "weighbridge": joined.moment.weighbridge,
            "time": joined.moment.time,
            "samples": [sample.as_list() for sample in joined.samples],
        }
        if details is not None:
            body["weighing"] = dict(details)
        record = self.alibi.append(body)
        self.outbox.add(record)
        return ticket.id

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
