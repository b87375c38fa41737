"""Whether there is room on the disk for another ticket, asked before anything is written."""

import os
from pathlib import Path

from steelyard.smartbox.errors import StorageFull

ALARM = "disk-full"
_MIB = 1_048_576


class Room:
    """The space on the file system of a directory; `reserve` bytes of it are not for tickets.

    What is left then is for receipts, for SQLite's log, and for whoever comes to make room.
    """

    def __init__(self, directory: Path, reserve: int) -> None:
        self._directory = directory
        self._reserve = reserve

    def problem(self) -> str | None:
        """Why no ticket may be issued, in one sentence; None while there is room."""
        if not self._reserve:
            return None
        try:
            found = os.statvfs(self._directory)
        except OSError as error:
            return f"the disk cannot be asked: {self._directory}: {error.strerror}"
        free = found.f_bavail * found.f_frsize
        if free >= self._reserve:
            return None
        return (
            f"the disk is full: {free // _MIB} MiB are free for {self._directory}, and "
            f"{self._reserve // _MIB} MiB must be"
        )

    def check(self) -> None:
        """Raises StorageFull when no ticket may be issued."""
        problem = self.problem()
        if problem is not None:
            raise StorageFull(problem)
