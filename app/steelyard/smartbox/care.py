"""What a SmartBox looks after by itself: the time, the tickets that wait for it, old records."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog import get_logger

from steelyard.smartbox.errors import PlatformProblem, StorageFull
from steelyard.smartbox.kernel_clock import KernelClock
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.room import ALARM as DISK_FULL
from steelyard.smartbox.station_clock import StationClock
from steelyard.smartbox.status import Status

log = get_logger(__name__)

CLOCK_ALARM = "clock"
LOOK_SECONDS = 5.0
TIDY_SECONDS = 3600.0


class Care:
    """Runs beside everything else.

    `greet` asks the platform something, whose answer tells the clock the time. `on_times` is called
    after tickets got their time or their place in the outbox, `on_failure` once the storage has
    failed. `years` is how long the alibi memory keeps a record. `kernel` is told the time, whenever
    it is known.
    """

    def __init__(
        self,
        recorder: Recorder,
        greet: Callable[[], Awaitable[None]],
        status: Status,
        clock: StationClock,
        kernel: KernelClock,
        *,
        years: int,
        on_times: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._recorder = recorder
        self._greet = greet
        self._status = status
        self._clock = clock
        self._kernel = kernel
        self._years = years
        self._on_times = on_times
        self._on_failure = on_failure
        self._tidied: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="care")
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """End, after what is being written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except StorageFull as full:
                self._status.raise_alarm(DISK_FULL, f"no tickets are issued: {full.detail}")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. Raises StorageFull, StorageUnavailable."""
        await self._look_at_the_time()
        # Tickets that are in the alibi memory alone, since the outbox found no room for them.
        if await self._recorder.run(self._recorder.storage.mend):
            self._on_times()

    async def _look_at_the_time(self) -> None:
        self._clock.look()
        if not self._clock.known:
            await self._ask_platform()
        known = self._clock.known_time()
        if known is None:
            self._status.raise_alarm(
                CLOCK_ALARM,
                "the time is not known yet, from no time server and not from the platform: tickets "
                "of a cycle are issued, and wait for it; settled loads have their cells' time",
            )
            return
        self._status.clear_alarm(CLOCK_ALARM)
        self._kernel.compare(known)
        storage = self._recorder.storage
        if await self._recorder.run(storage.outbox.count_untimed):
            corrected = await self._recorder.run(storage.set_times, known)
            log.info("tickets have their time", corrected=corrected)
            self._on_times()
        if self._tidied is None or known.uptime - self._tidied >= TIDY_SECONDS * 1000:
            self._tidied = known.uptime
            await self._recorder.run(storage.tidy, known.now, self._years)

    async def _ask_platform(self) -> None:
        try:
            await self._greet()
        except PlatformProblem as problem:
            log.info("the platform does not tell the time", problem=problem.slug)
        except Exception as error:  # noqa: BLE001 - no answer of the platform ends weighing
            log.warning("answer not understood", error=type(error).__name__)
