"""The alibi memory: an append-only, hash-chained record of every weighing.

OIML R 76-1 calls it a data storage device (5.5.3: measurement data stored for later use). A record
is on the disk before anything else is told about the weighing. It is written in files that follow
one another (`segments`), so that what is older than a station must keep can go.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from steelyard.errors import ConfigurationError
from steelyard.smartbox.alibi.format import (
    Head,
    Record,
    TornTail,
    make_header,
    make_record,
    open_for_reading,
    read_header,
)
from steelyard.smartbox.alibi.segments import (
    DRAFT,
    Segment,
    read_segment,
    read_segments,
    read_through,
    segment_path,
    segment_paths,
)
from steelyard.smartbox.errors import AlibiDamaged, StorageFull, StorageUnavailable

Sync = Callable[[int], None]
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def sync_directory(path: Path, sync: Sync = os.fsync) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


class AlibiMemory:
    """The open alibi memory of a running SmartBox. One process at a time holds it.

    `path` is the memory's name, that of its first file; `head` is its last record, of number 0 when
    there is none.
    """

    def __init__(
        self, path: Path, station: str, descriptor: int, place: Head, last: Head, sync: Sync
    ) -> None:
        self.path = path
        self.head = last
        self._station = station
        self._descriptor = descriptor
        self._place = place  # what the next record is bound to: the last one, or its file's header
        self._sync = sync
        self._broken = False

    @classmethod
    def open(
        cls, path: Path, station: str, known: Head | None = None, sync: Sync = os.fsync
    ) -> tuple[Self, list[Record]]:
        """Open or create it; also give the records behind `known`, the outbox's head.

        A torn tail is cut off. Raises AlibiDamaged for anything else that is not as written,
        StorageUnavailable when another process holds it, ConfigurationError when it is another
        station's.
        """
        if not segment_paths(path)[-1].exists():
            if known is not None and known.sequence:
                raise AlibiDamaged(
                    f"{path}: is missing, but the outbox knows its {known.sequence} records"
                )
            try:
                _create(path, make_header(station, _now()), sync)
            except OSError as error:
                problem = StorageFull if error.errno in FULL else StorageUnavailable
                raise problem(f"{path}: {error.strerror}") from None
        current = segment_paths(path)[-1]
        descriptor = os.open(current, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            place, last, records = _catch_up(path, station, known, descriptor, sync)
        except BlockingIOError:
            os.close(descriptor)
            raise StorageUnavailable(f"{path}: another process holds it") from None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, station, descriptor, place, last, sync), records

    def append(self, body: dict[str, Any]) -> Record:
        """Write one record durably.

        Raises StorageFull, then it is not there and the next may be tried, or StorageUnavailable,
        then only a restart can find out what is there.
        """
        self._check_sound()
        data, head = make_record(self._place, body)
        try:
            _write_all(self._descriptor, data)
        except OSError as error:
            self._take_back(error)
        try:
            self._sync(self._descriptor)
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: nothing in this process
            # can know what the disk holds.
            self._give_up(error)
        self.head = self._place = head
        return Record(body, head)

    def _check_sound(self) -> None:
        if self._broken:
            raise StorageUnavailable(f"{self.path}: a write failed earlier; restart the SmartBox")

    def _take_back(self, error: OSError) -> None:
        """A write failed, so nothing was synced yet: what it left goes away, for certain."""
        try:
            os.ftruncate(self._descriptor, self._place.offset)
            self._sync(self._descriptor)
        except OSError:
            self._give_up(error)  # the restart finds the torn tail
        if error.errno in FULL:
            raise StorageFull(f"{self.path}: {error.strerror}") from None
        self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        with contextlib.suppress(OSError):  # the restart finds the torn tail
            os.ftruncate(self._descriptor, self._place.offset)
        raise StorageUnavailable(f"{self.path}: {error.strerror}") from None

    def segments(self) -> list[Segment]:
        """The files' headers, the one that is written to last."""
        return read_segments(self.path)

    def begin_segment(self, made: int) -> None:
        """Go on in a new file. `made` in milliseconds since the epoch.

        Nothing happens when no record stands in the last one. Raises StorageFull, then all is as
        before, and StorageUnavailable.
        """
        self._check_sound()
        if not self.head.sequence or self._place != self.head:
            return
        path = segment_path(self.path, self.head.sequence + 1)
        header = make_header(self._station, made, self.head)
        try:
            descriptor = _create(path, header, self._sync, keep=True)
        except OSError as error:
            if not path.exists() and error.errno in FULL:
                raise StorageFull(f"{path}: {error.strerror}") from None
            # It has its name, and perhaps not for ever: what is written to it might be lost.
            self._give_up(error)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._place = read_segment(path).start

    def remove_segments(self, below: int) -> list[Path]:
        """Remove the files all of whose records are below this number; the last one stays."""
        found = self.segments()
        gone = [one.path for one, after in pairwise(found) if after.first <= below]
        for path in gone:
            path.unlink()
        if gone:
            sync_directory(self.path.parent, self._sync)
        return gone

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _create(path: Path, header: bytes, sync: Sync, *, keep: bool = False) -> int:
    """Write a header under another name first, so that no crash leaves half of it.

    With `keep` the file's descriptor, locked before it has its name, is the caller's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + DRAFT)
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(draft, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_all(descriptor, header)
        sync(descriptor)
        draft.rename(path)
        sync_directory(path.parent, sync)
    except OSError:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
        raise
    if not keep:
        os.close(descriptor)
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _catch_up(
    path: Path, station: str, known: Head | None, descriptor: int, sync: Sync
) -> tuple[Head, Head, list[Record]]:
    """Where to write, the last record, and the records that the outbox does not know."""
    segments = read_segments(path)
    for segment in segments:
        if segment.header.get("station") != station:
            raise ConfigurationError(
                f"smartbox.station: is {station}, but {segment.path} is the alibi memory of "
                f"{segment.header.get('station')}"
            )
    wanted = known.sequence if known is not None else segments[0].before.sequence
    if wanted < segments[0].before.sequence:
        raise AlibiDamaged(
            f"{path}: begins with record {segments[0].first}, but the outbox knows no more than "
            f"{wanted}: those between are lost to it"
        )
    rest = [one for one in segments if one.before.sequence > wanted]
    first = segments[len(segments) - len(rest) - 1]
    last, place = first.before, first.start
    if known is not None and known.sequence:
        last, place = _check_known(first, known)
    records: list[Record] = []
    for found in read_through([first, *rest], place):
        if isinstance(found, TornTail):
            os.ftruncate(descriptor, found.head.offset)
            sync(descriptor)
            break
        records.append(found)
        last = found.head
    current = segments[-1]
    place = current.start if last.sequence == current.before.sequence else last
    return place, last if last.sequence else place, records


def _check_known(segment: Segment, known: Head) -> tuple[Head, Head]:
    """The last record that the outbox knows must be where it was, with the same hash.

    Gives it, and the place behind it in this file.
    """
    if known.sequence == segment.before.sequence:
        if known.hash != segment.before.hash:
            raise AlibiDamaged(
                f"{segment.path}: record {known.sequence}: is not the one that the outbox knows"
            )
        return known, segment.start
    with open_for_reading(segment.path) as stream:
        stream.seek(max(0, known.offset - len(known.hash)))
        if stream.read(len(known.hash)) != known.hash:
            raise AlibiDamaged(
                f"{segment.path}: record {known.sequence}: is not the one that the outbox knows"
            )
    return known, known


def read_station(path: Path) -> str:
    """The station whose alibi memory this is. Raises AlibiDamaged."""
    with open_for_reading(segment_paths(path)[0]) as stream:
        header, _ = read_header(stream)
    station = header.get("station")
    if not isinstance(station, str):
        raise AlibiDamaged("the header names no station")
    return station


def read_from(path: Path, first: int) -> Iterator[Record | TornTail]:
    """The records from one on, checked from the beginning of its file. Raises AlibiDamaged."""
    segments = read_segments(path)
    start = max((n for n, one in enumerate(segments) if one.first <= first), default=0)
    for found in read_through(segments[start:], segments[start].start):
        if isinstance(found, TornTail) or found.sequence >= first:
            yield found


def read_all(path: Path) -> Iterator[Record | TornTail]:
    """Every record that is kept, checked. Raises AlibiDamaged at the first that was altered.

    `path` is the memory's name, or one of its files, which is then read alone.
    """
    segments = read_segments(path)
    yield from read_through(segments, segments[0].start)
