"""Whether a device holds as much as it says: marks all over it, written and read back.

A false card says 64 GB and has 8: what is written beyond is lost, or comes over what was there. The
image's read-back does not show it, and the data partition would grow to where nothing is kept.
"""

import os
from collections.abc import Callable
from itertools import count

from infra.flash.devices import in_units
from infra.flash.errors import FlashRefused
from infra.flash.partitions import SECTOR
from infra.flash.target import Target
from infra.flash.writing import Progress

STEP = 64 * 1024 * 1024
_BLOCK = 4096
_PIECE = 1024 * 1024
# So many marks stand after the first run; a device that is larger has them further apart.
MOST = 4096


def check_capacity(target: Target, image_bytes: int, progress: Progress, step: int = STEP) -> None:
    """Refuse a device that holds less than it says, before the image comes on it.

    Of what lies behind the image, the marked places are zeros afterwards. Raises FlashRefused.
    """
    if target.device.is_file:
        return
    nonce = os.urandom(SECTOR - 8)  # marks of an earlier run are none
    ranges = marked_ranges(target.device.size, step)
    behind = [(max(start, image_bytes), end) for start, end in ranges if end > image_bytes]
    told = _counted(progress, 2 * len(ranges) + len(behind))
    # From the end, each waited for: where two places are one, the first of them has the last
    # word, and the run at the start drives the other marks out of a card's own buffer.
    for start, end in reversed(ranges):
        target.write(start, _marks(nonce, start, end))
        target.sync()
        told()
    target.forget_cache()
    for start, end in ranges:
        found, wanted = target.read(start, end - start), _marks(nonce, start, end)
        if found != wanted:
            raise FlashRefused(_false(target, nonce, start, found, wanted))
        told()
    for start, end in behind:
        target.zero(start, end)
        told()


def marked_ranges(size: int, step: int = STEP) -> list[tuple[int, int]]:
    """Where marks stand: all over the first `step` bytes, then one in each, and one at the end.

    The run is for cards that come round: whatever number of sectors they hold, one of the marks
    behind it comes over the run. Marks at regular places alone find only multiples of their
    distance.
    """
    step *= max(1, -(-size // (step * MOST)))
    whole = size // _BLOCK * _BLOCK
    run, last = min(step, whole), whole - _BLOCK
    ranges = [(start, min(start + _PIECE, run)) for start in range(0, run, _PIECE)]
    if last >= step:
        ranges += [(start, start + _BLOCK) for start in (*range(step, last, step), last)]
    return ranges


def _marks(nonce: bytes, start: int, end: int) -> bytes:
    """Each sector says where it belongs."""
    return b"".join(place.to_bytes(8) + nonce for place in range(start, end, SECTOR))


def _false(target: Target, nonce: bytes, start: int, found: bytes, wanted: bytes) -> str:
    path, size = target.device.path, target.device.size
    at = next(
        at for at in range(0, len(wanted), SECTOR) if found[at:][:SECTOR] != wanted[at:][:SECTOR]
    )
    place = held = start + at
    other = int.from_bytes(found[at : at + 8])
    if found[at + 8 : at + SECTOR] == nonce and other < place:
        held = place - other  # it comes round: the two places are one
    return (
        f"{path} does not hold what was written (bytes {place} to {place + SECTOR}): it says that "
        f"it has {size} bytes ({in_units(size)}), and seems to hold no more than {held} "
        f"({in_units(held)}): it is a false card, or worn out; use another one"
    )


def _counted(progress: Progress, total: int) -> Callable[[], None]:
    done = count(1)
    return lambda: progress("size", next(done), total)
