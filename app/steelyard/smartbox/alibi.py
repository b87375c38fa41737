"""The alibi memory: an append-only, hash-chained record of every weighing (OIML R 76-1, 5.5.2).

A record is on the disk before anything else is told about the weighing.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from steelyard.errors import ConfigurationError
from steelyard.smartbox.alibi_format import (
    Head,
    Record,
    TornTail,
    make_header,
    make_record,
    open_for_reading,
    read_header,
    read_records,
)
from steelyard.smartbox.errors import AlibiDamaged, StorageUnavailable

Sync = Callable[[int], None]


def sync_directory(path: Path, sync: Sync = os.fsync) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


class AlibiMemory:
    """The open alibi memory of a running SmartBox. One process at a time holds it."""

    def __init__(self, path: Path, descriptor: int, head: Head, sync: Sync) -> None:
        self.path = path
        self.head = head
        self._descriptor = descriptor
        self._sync = sync
        self._broken = False

    @classmethod
    def open(
        cls, path: Path, station: str, known: Head | None = None, sync: Sync = os.fsync
    ) -> tuple[Self, list[Record]]:
        """Open or create the file; also give the records behind `known`, the outbox's head.

        A torn tail is cut off. Raises AlibiDamaged for anything else that is not as written,
        StorageUnavailable when another process holds the file, ConfigurationError when it is
        another station's.
        """
        if not path.exists():
            if known is not None and known.sequence:
                raise AlibiDamaged(
                    f"{path}: is missing, but the outbox knows its {known.sequence} records"
                )
            _create(path, station, sync)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            head, records = _catch_up(path, station, known, descriptor, sync)
        except BlockingIOError:
            os.close(descriptor)
            raise StorageUnavailable(f"{path}: another process holds it") from None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, head, sync), records

    def append(self, body: dict[str, Any]) -> Record:
        """Write one record durably. Raises StorageUnavailable; then the record is not there."""
        if self._broken:
            raise StorageUnavailable(f"{self.path}: a write failed earlier; restart the SmartBox")
        data, head = make_record(self.head, body)
        try:
            _write_all(self._descriptor, data)
            self._sync(self._descriptor)
        except OSError as error:
            self._take_back()
            raise StorageUnavailable(f"{self.path}: {error.strerror}") from None
        self.head = head
        return Record(body, head)

    def _take_back(self) -> None:
        # After a failed fsync the kernel may have dropped the pages: nothing in this process can
        # know what the disk holds, so no further record is written before a restart has looked.
        self._broken = True
        try:
            os.ftruncate(self._descriptor, self.head.offset)
        except OSError:
            return  # the restart finds the torn tail

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)


def _create(path: Path, station: str, sync: Sync) -> None:
    """Write the header under another name first, so that no crash leaves half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as stream:
        stream.write(make_header(station, time.time_ns() // 1_000_000))
        stream.flush()
        sync(stream.fileno())
    draft.rename(path)
    sync_directory(path.parent, sync)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _catch_up(
    path: Path, station: str, known: Head | None, descriptor: int, sync: Sync
) -> tuple[Head, list[Record]]:
    with open_for_reading(path) as stream:
        header, head = read_header(stream)
        if header.get("station") != station:
            raise ConfigurationError(
                f"smartbox.station: is {station}, but {path} is the alibi memory of "
                f"{header.get('station')}"
            )
        if known is not None and known.sequence:
            head = _check_known(path, known)
        records = []
        for found in read_records(stream, head):
            if isinstance(found, TornTail):
                os.ftruncate(descriptor, found.head.offset)
                sync(descriptor)
                break
            records.append(found)
            head = found.head
    return head, records


def _check_known(path: Path, known: Head) -> Head:
    """The last record that the outbox knows must be where it was, with the same hash."""
    with open_for_reading(path) as stream:
        stream.seek(max(0, known.offset - len(known.hash)))
        if stream.read(len(known.hash)) != known.hash:
            raise AlibiDamaged(
                f"{path}: record {known.sequence}: is not the one that the outbox knows"
            )
    return known


def read_station(path: Path) -> str:
    """The station whose alibi memory this is. Raises AlibiDamaged."""
    with open_for_reading(path) as stream:
        header, _ = read_header(stream)
    station = header.get("station")
    if not isinstance(station, str):
        raise AlibiDamaged("the header names no station")
    return station


def read_all(path: Path) -> Iterator[Record | TornTail]:
    """Every record from the first, checked. Raises AlibiDamaged at the first that was altered."""
    with open_for_reading(path) as stream:
        _, head = read_header(stream)
        yield from read_records(stream, head)
