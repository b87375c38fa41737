"""How long the alibi memory is kept: so many years, file by file.

A file is closed after a month, or when it is large, and removed once its last record is older than
the years that are kept and all its tickets are settled. A clock that is wrong for a while must not
cost the evidence: files are begun and removed only when the time is known, and for each file that
is begun at most two are removed.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Self

from steelyard.smartbox.alibi.memory import AlibiMemory

DAY_MS = 86_400_000
YEAR_MS = 366 * DAY_MS
SEGMENT_MS = 30 * DAY_MS
SEGMENT_BYTES = 64 * 1_048_576
MOST_REMOVED = 2


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is to be done: begin a new file, and keep the records from this number on."""

    begins_segment: bool
    keep_from: int

    @classmethod
    def plan(cls, alibi: AlibiMemory, now: int, years: int, first_open: int | None) -> Self:
        """Look at the files. `now` in milliseconds; `first_open`: the oldest open ticket's record.

        Nothing is dropped but with a new file.
        """
        segments = alibi.segments()
        first, current = segments[0].first, segments[-1]
        is_old = now - current.made >= SEGMENT_MS
        begins = is_old or current.path.stat().st_size >= SEGMENT_BYTES
        if not begins or alibi.head.sequence == current.before.sequence:
            return cls(False, first)
        keep_from = first
        # A file was closed when the next one was begun; never before an earlier one.
        closed = list(accumulate((one.made for one in segments[1:]), max))
        for after, time in list(zip(segments[1:], closed, strict=True))[:MOST_REMOVED]:
            if now - time < years * YEAR_MS or (first_open or after.first) < after.first:
                break
            keep_from = after.first
        return cls(True, keep_from)
