"""One command at a time works on a directory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.network.errors import ForeignDirectory, NetworkProblem

LOCK_FILE = ".lock"
LOCK_SECONDS = 10.0
_POLL_SECONDS = 0.1


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Nobody else changes the directory meanwhile. Raises NetworkProblem, ForeignDirectory."""
    try:
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        raise ForeignDirectory(
            f"{directory} is not there: `steelyard network up` makes it"
        ) from None
    except OSError as error:
        raise ForeignDirectory(f"{directory}: {error.strerror}") from None
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise NetworkProblem(f"another command is at work on {directory}")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
