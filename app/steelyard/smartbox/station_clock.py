"""The SmartBox's clock: it counts by itself, and knows whether it is right.

A Raspberry Pi has no clock of its own: after a power cut it begins where it stopped, and is wrong
until the network is back. So time is counted from the start by the boot's own clock, which nobody
sets, and taken for known only once the kernel says that a time server disciplines it, or the
platform has told the time over TLS (the `Date` of its answers, RFC 9110, 6.6.1).
"""

import ctypes
import json
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from structlog import get_logger

from steelyard.pki import files
from steelyard.smartbox.http_date import read_http_date
from steelyard.smartbox.timing import TOLERANCE_MS, KnownTime, Stamp
from steelyard.ticket import MAX_TIMESTAMP_MS

log = get_logger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMEX_BYTES = 512  # struct timex has 208 on x86-64 and arm64
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_FINE_MS = 500  # further from the kernel's disciplined clock than this, it is followed
_LONGEST_ANSWER_MS = 10_000
CLOCK_FILE = "clock.json"
_KEPT_BYTES = 1000
KERNEL, PLATFORM = "kernel", "platform"


def read_boot_id(path: Path = _BOOT_ID) -> str:
    """What names this boot of the machine.

    Where it cannot be read, a name of its own: what is not known to be the same boot is another.
    """
    try:
        return path.read_text("ascii").strip()
    except OSError as error:
        log.warning("which boot this is cannot be read", path=str(path), problem=error.strerror)
        return f"unknown-{uuid4()}"


def kernel_is_disciplined() -> bool:
    """Whether the kernel says that its time of day is synchronised (adjtimex(2))."""
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR


class StationClock:
    """Milliseconds since the epoch, by the boot's clock.

    `wall` is the kernel's time of day and `uptime` its time since the boot, both in milliseconds;
    `disciplined` says whether a time server keeps the former right. `steps` counts how often this
    clock was set since it began, and `on_step` is called each time with the milliseconds, before
    anything goes by the new time. `keep` is a file: what one process learnt of the time holds for
    the next ones of the same boot.
    """

    def __init__(
        self,
        wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        uptime: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
        disciplined: Callable[[], bool] = kernel_is_disciplined,
        boot: str | None = None,
        keep: Path | None = None,
    ) -> None:
        self._wall = wall
        self._uptime = uptime
        self._disciplined = disciplined
        self.boot = read_boot_id() if boot is None else boot
        self._offset = wall() - uptime()
        self.source: str | None = None
        self.steps = 0
        self.on_step: Callable[[int], None] = lambda _: None
        self._keep = keep
        self.look()
        if not self.known:
            self._remember()

    def now(self) -> int:
        """The time, as well as it is known. It goes back only where it was found to be wrong."""
        return self._uptime() + self._offset

    @property
    def known(self) -> bool:
        """Whether the time is right."""
        return self.source is not None

    def stamp(self, time: int) -> Stamp:
        """What stands behind a time by this clock."""
        return Stamp(self.boot, time - self._offset, self.known)

    def known_time(self) -> KnownTime | None:
        """The time for corrections, once it is known."""
        if self.source is None:
            return None
        uptime = self._uptime()
        return KnownTime(uptime + self._offset, self.boot, uptime, self.source)

    def look(self) -> None:
        """Ask the kernel whether it knows the time now, and follow it."""
        if not self._disciplined():
            return
        offset = self._wall() - self._uptime()
        if not self.known or abs(offset - self._offset) > _FINE_MS:
            self._follow(offset, KERNEL)

    def learn(self, date: str | None, asked: int, valid: tuple[int, int] | None = None) -> None:
        """Take the `Date` of an answer to a request that was `asked` for at this uptime.

        Where the kernel knows the time, it knows it better. A time outside `valid`, in milliseconds
        since the epoch, is wrong.
        """
        came = self._uptime()
        took = came - asked
        if not 0 <= took <= _LONGEST_ANSWER_MS or (self.source == KERNEL and self._disciplined()):
            return
        moment = read_http_date(date)
        if moment is None:
            return
        told = round(moment.timestamp() * 1000)
        if valid is not None and not valid[0] <= told <= valid[1]:
            log.warning("the platform tells a time at which its certificate is not valid")
            return
        # A Date has whole seconds, and was written somewhere between the request and now.
        offset = told + 500 - (asked + took // 2)
        if abs(offset - self._offset) > TOLERANCE_MS + took // 2:
            self._follow(offset, PLATFORM)
        elif not self.known:
            self._follow(self._offset, PLATFORM)

    def uptime(self) -> int:
        """Milliseconds since the boot."""
        return self._uptime()

    def _follow(self, offset: int, source: str) -> None:
        step = offset - self._offset
        self._offset, self.source = offset, source
        self._note()
        log.info("the time is known", source=source, step_ms=step)
        if step:
            self.steps += 1
            self.on_step(step)

    def _note(self) -> None:
        """Leave what is known for the next process of this boot; without it that asks anew."""
        if self._keep is None:
            return
        kept = {"boot": self.boot, "offset": self._offset, "source": self.source}
        try:
            files.replace(self._keep, json.dumps(kept).encode(), files.PRIVATE)
        except OSError as error:
            log.warning("the time cannot be kept", path=str(self._keep), problem=error.strerror)

    def _remember(self) -> None:
        """Go on with what an earlier process of this boot knew. It may yet be told better."""
        try:
            kept = json.loads(self._keep.read_bytes()[:_KEPT_BYTES]) if self._keep else None
        except (OSError, ValueError, RecursionError):
            return
        if not isinstance(kept, dict) or kept.get("boot") != self.boot:
            return
        offset, source = kept.get("offset"), kept.get("source")
        if type(offset) is not int or source not in (KERNEL, PLATFORM):
            return
        if 0 <= self._uptime() + offset <= MAX_TIMESTAMP_MS:
            self._follow(offset, source)
