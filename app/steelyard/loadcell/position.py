"""How far a cell came, on the disk: the number of the first sample that is not acknowledged."""

import os
import zlib
from pathlib import Path

from steelyard.loadcell.errors import PositionUnavailable

SLOT_BYTES = 32


class Position:
    """Two slots, written in turn: a torn write leaves the other one.

    The position never runs ahead of the acknowledgements. It may be one behind after a crash;
    the SmartBox takes a repeated sample without effect.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises PositionUnavailable."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            slots = os.pread(self._descriptor, 2 * SLOT_BYTES, 0)
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise PositionUnavailable(f"{path}: {error.strerror}") from None
        self.next = max(_read_slot(slots[:SLOT_BYTES]), _read_slot(slots[SLOT_BYTES:]))

    def advance(self, to: int) -> None:
        """Remember durably that every sample before `to` is acknowledged."""
        text = f"{to:020d}"
        slot = f"{text} {zlib.crc32(text.encode()):08x}  \n".encode()
        try:
            os.pwrite(self._descriptor, slot, to % 2 * SLOT_BYTES)
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise PositionUnavailable(f"{self._path}: {error.strerror}") from None
        self.next = to

    def keep_refused(self, line: str) -> None:
        """Write a refused sample beside the position, durably: it is skipped, never lost."""
        path = self._path.with_name(self._path.name + ".refused")
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise PositionUnavailable(f"{path}: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _read_slot(slot: bytes) -> int:
    """The slot's number, or 0 when it is empty or torn."""
    text, _, check = slot[:29].partition(b" ")
    if len(text) != 20 or not text.isdigit() or check != f"{zlib.crc32(text):08x}".encode():
        return 0
    return int(text)
