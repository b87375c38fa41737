"""Samples of several cells on one grid of time: the SmartBox's.

Each cell has a clock of its own, near the SmartBox's or behind it. The least difference between
arrival and sample among the last ones is the cell's offset with the shortest way; the times of
its samples count from there. Frames stand on whole multiples of the interval, each cell's value
drawn between its samples before and after; a frame waits until every cell got there.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from steelyard.smartbox.models import Sample

OFFSETS = 64
MAX_HELD = 4096
MAX_GAP_MS = 1500


class Frame(NamedTuple):
    """What the cells carried at one time (milliseconds): raw kilograms, None where unknown.

    `samples` are the last ones that came before, as evidence.
    """

    time: int
    values: tuple[float | None, ...]
    samples: tuple[Sample | None, ...]


class _Track:
    """One cell's samples, by the SmartBox's clock."""

    def __init__(self) -> None:
        self._offsets: deque[int] = deque(maxlen=OFFSETS)
        self.held: deque[tuple[int, Sample]] = deque(maxlen=MAX_HELD)

    @property
    def latest(self) -> int | None:
        return self.held[-1][0] if self.held else None

    def push(self, sample: Sample, now: int) -> None:
        self._offsets.append(now - sample.time)
        time = sample.time + min(self._offsets)
        if not self.held or time > self.held[-1][0]:
            self.held.append((time, sample))

    def at(self, time: int) -> tuple[float | None, Sample | None]:
        """The value at a time, and the last sample before; forgets what is older."""
        held = self.held
        while len(held) > 1 and held[1][0] <= time:
            held.popleft()
        if not held or held[0][0] > time:
            return None, None
        before, sample = held[0]
        if before == time:
            return float(sample.raw), sample
        if len(held) < 2 or held[1][0] - before > MAX_GAP_MS:
            return None, sample
        after, following = held[1]
        low, high = float(sample.raw), float(following.raw)
        return low + (high - low) * (time - before) / (after - before), sample


class Aligner:
    """Makes frames of `count` cells, one each `interval` milliseconds."""

    def __init__(self, count: int, interval: int) -> None:
        self._tracks = [_Track() for _ in range(count)]
        self._interval = interval
        self._next: int | None = None

    def push(self, cell: int, sample: Sample, now: int) -> None:
        """Take a sample that arrived at `now`."""
        self._tracks[cell].push(sample, now)

    def frames(self, without: frozenset[int] = frozenset()) -> Iterator[Frame]:
        """The frames that are complete, not waiting for the cells `without`."""
        awaited = [track for number, track in enumerate(self._tracks) if number not in without]
        latest = [track.latest for track in awaited]
        if not latest or None in latest:
            return
        end = min(time for time in latest if time is not None)
        if self._next is None:
            first = max(track.held[0][0] for track in awaited)
            self._next = -(-first // self._interval) * self._interval
        # After a silence of all of them, go on where they are now and not frame by frame.
        if end - self._next > MAX_HELD * self._interval:
            self._next = end // self._interval * self._interval
        while self._next <= end:
            time = self._next
            self._next += self._interval
            values, samples = zip(*(track.at(time) for track in self._tracks), strict=True)
            yield Frame(time, values, samples)
