"""The machine's time of day, which the SmartBox may not set: it says what it should be.

Where no time server is reached the kernel's clock stays as wrong as it began, while the SmartBox
knows the time from the platform. Everything else on the machine goes by the kernel: a load cell's
program on the same board, certificates, the journal.
"""

import time
from collections.abc import Callable
from pathlib import Path

from structlog import get_logger

from steelyard.pki import files
from steelyard.smartbox.station_clock import PLATFORM
from steelyard.smartbox.timing import TOLERANCE_MS, KnownTime

log = get_logger(__name__)

_AGAIN_MS = 60_000


class KernelClock:
    """Leaves the time in a file for who sets the kernel's clock; without a path it does nothing.

    The file has one line: milliseconds since the epoch, and those since the boot (CLOCK_BOOTTIME)
    at that moment. `wall` is the kernel's time of day in milliseconds.
    """

    def __init__(
        self, path: Path | None, wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._path = path
        self._wall = wall
        self._told: int | None = None

    def compare(self, known: KnownTime) -> None:
        """Say the time if the platform told it and the kernel has another, once a minute at most.

        That it cannot be written is logged, and no reason not to weigh.
        """
        if self._path is None or known.source != PLATFORM:
            return
        behind = known.now - self._wall()
        if abs(behind) <= TOLERANCE_MS:
            return
        if self._told is not None and known.uptime - self._told < _AGAIN_MS:
            return
        self._told = known.uptime
        line = f"{known.now} {known.uptime}\n".encode()
        try:
            files.replace(self._path, line, files.PRIVATE)
        except OSError as error:
            log.warning("the time cannot be left", path=str(self._path), problem=error.strerror)
            return
        log.info("the kernel's clock is wrong", behind_ms=behind)
