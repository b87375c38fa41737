"""An image goes to a device, and is read back."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.flash.block_map import BlockMap, Range
from infra.flash.errors import FlashRefused
from infra.flash.image import CHUNK, Image
from infra.flash.partitions import HEAD_BYTES
from infra.flash.target import Target

Progress = Callable[[str, int, int], None]
# So often the device is waited for: otherwise progress would show how fast memory is.
_SYNC_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: SHA-256 of the whole image, and its first bytes."""

    sha256: str
    head: bytes


class _Follower:
    """Follows a stream of an image, and compares it with the block map."""

    def __init__(self, block_map: BlockMap) -> None:
        self._ranges = iter(block_map.ranges)
        self._range: Range | None = next(self._ranges, None)
        self._digest = hashlib.sha256()
        self._whole = hashlib.sha256()
        self._place = 0

    def take(self, chunk: bytes) -> Iterator[tuple[int, memoryview, bool]]:
        """The parts of the next chunk: place, content, and whether the map has them.

        Raises _Differs with the place where the content is not what the map says.
        """
        self._whole.update(chunk)
        view, begin, end = memoryview(chunk), self._place, self._place + len(chunk)
        while self._place < end:
            own = self._range
            if own is None or self._place < own.start:
                stop = end if own is None else min(end, own.start)
                part = view[self._place - begin : stop - begin]
                if any(part):
                    raise _Differs(self._place, stop)
                yield self._place, part, False
            else:
                stop = min(end, own.end)
                part = view[self._place - begin : stop - begin]
                self._digest.update(part)
                yield self._place, part, True
            self._place = stop
            self._end_range()

    def _end_range(self) -> None:
        own = self._range
        if own is not None and self._place == own.end:
            if self._digest.hexdigest() != own.sha256:
                raise _Differs(own.start, own.end)
            self._range, self._digest = next(self._ranges, None), hashlib.sha256()

    def sha256(self) -> str:
        """Of everything that was taken."""
        return self._whole.hexdigest()


class _Differs(Exception):
    """Bytes `start` to `end` are not what the map says."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__()
        self.start, self.end = start, end


def write_image(image: Image, target: Target, progress: Progress) -> Written:
    """Write everything, zeros where the map has nothing. Raises FlashRefused."""
    target.empty()
    place = 0
    for one in image.block_map.ranges:
        target.zero(place, one.start)
        place = one.end
    target.zero(place, image.size)
    follower, head, done, since = _Follower(image.block_map), b"", 0, 0
    try:
        for chunk in image.chunks():
            head = head or chunk[:HEAD_BYTES]
            for start, part, mapped in follower.take(chunk):
                if mapped:
                    target.write(start, part)
                    since += len(part)
            done += len(chunk)
            if since >= _SYNC_BYTES:
                target.sync()
                since = 0
            progress("write", done, image.size)
    except _Differs:
        raise FlashRefused(f"{image.path} and its block map do not belong together") from None
    target.sync()
    return Written(follower.sha256(), head)


def verify(image: Image, written: Written, target: Target, progress: Progress) -> None:
    """Read everything back, and compare it by the whole and by the map's ranges.

    Raises FlashRefused.
    """
    target.forget_cache()
    follower = _Follower(image.block_map)
    try:
        for start in range(0, image.size, CHUNK):
            chunk = target.read(start, min(CHUNK, image.size - start))
            for _ in follower.take(chunk):
                pass
            progress("verify", start + len(chunk), image.size)
    except _Differs as place:
        raise FlashRefused(_faulty(target, place.start, place.end)) from None
    if follower.sha256() != written.sha256:
        raise FlashRefused(_faulty(target, 0, image.size))


def _faulty(target: Target, start: int, end: int) -> str:
    return (
        f"{target.device.path} does not hold what was written (bytes {start} to {end}): the card "
        "is worn out, or has less memory than it says; use another one"
    )
