"""What a scale may indicate: class, ranges, intervals, rounding, and the errors allowed.

Weights are grams. Numbers in brackets are clauses of OIML R 76-1, edition 2006.
"""

import math
from dataclasses import dataclass
from typing import Literal

AccuracyClass = Literal["III", "IIII"]

# Table 6 (3.5.1): up to so many intervals e, an error of so many halves of e.
_ERRORS: dict[AccuracyClass, tuple[tuple[int, int], ...]] = {
    "III": ((500, 1), (2000, 2), (10_000, 3)),
    "IIII": ((50, 1), (200, 2), (1000, 3)),
}
# Table 3 (3.2), for e of 5 g and more: least and greatest number of intervals, Min in e.
_INTERVALS: dict[AccuracyClass, tuple[int, int, int]] = {
    "III": (500, 10_000, 20),
    "IIII": (100, 1000, 10),
}
# Table 4 (3.3.3): a partial range's maximum in intervals of the next one, at least.
_OF_THE_NEXT: dict[AccuracyClass, int] = {"III": 500, "IIII": 50}
OVER_MAX = 9  # e above Max up to which there is an indication (4.2.3)
UNDER_ZERO = 20  # d below zero down to which there is one (4.2.3)


@dataclass(frozen=True, slots=True)
class Range:
    """A partial weighing range (3.3.1): up to `maximum` grams the interval is `interval`."""

    maximum: int
    interval: int


@dataclass(frozen=True, slots=True)
class Scale:
    """One weighing range, or the partial ranges of a multi-interval scale (T.3.2.6, 3.3).

    The verification scale interval e is the scale interval d (3.4.2 asks for no other here).
    """

    accuracy_class: AccuracyClass
    ranges: tuple[Range, ...]

    @property
    def maximum(self) -> int:
        """Max in grams (T.3.1.1)."""
        return self.ranges[-1].maximum

    @property
    def minimum(self) -> int:
        """Min in grams (T.3.1.2): below it a relative error may be too large."""
        return _INTERVALS[self.accuracy_class][2] * self.ranges[0].interval

    @property
    def finest(self) -> int:
        """The interval at zero: tare, zero and stability are judged by it."""
        return self.ranges[0].interval

    def interval_at(self, load: float) -> int:
        """The interval of the partial range that a load lies in, loading or unloading (3.3.1)."""
        return next(
            (one.interval for one in self.ranges if abs(load) <= one.maximum),
            self.ranges[-1].interval,
        )

    def rounded(self, load: float) -> int:
        """A load as it is indicated: the nearest multiple of its interval, ties away from 0."""
        interval = self.interval_at(load)
        steps = math.floor(abs(load) / interval + 0.5)
        return int(math.copysign(steps * interval, load)) if steps else 0

    def is_over(self, load: float) -> bool:
        """Whether a load is beyond what may be indicated: Max + 9 e (4.2.3)."""
        return load > self.maximum + OVER_MAX * self.ranges[-1].interval

    def is_under(self, load: float) -> bool:
        """Whether a load is so far below zero that it is not indicated: 20 d (4.2.3)."""
        return load < -UNDER_ZERO * self.finest

    def permissible_error(self, load: float, *, in_service: bool = False) -> float:
        """The greatest error in grams at a load: Table 6 (3.5.1), in service twice that (3.5.2)."""
        interval = self.interval_at(load)
        steps = abs(load) / interval
        table = _ERRORS[self.accuracy_class]
        halves = next((halves for limit, halves in table if steps <= limit), table[-1][1])
        return halves * interval / 2 * (2 if in_service else 1)

    def fault(self) -> str | None:
        """What the class does not allow, in one sentence; None for a scale that it does."""
        least, most, _ = _INTERVALS[self.accuracy_class]
        for before, one in zip((None, *self.ranges), self.ranges, strict=False):
            count = one.maximum / one.interval
            if count > most:
                return (
                    f"class {self.accuracy_class} allows at most {most} scale intervals, "
                    f"{one.maximum} g by {one.interval} g are {count:g}"
                )
            if before and (one.interval <= before.interval or one.maximum <= before.maximum):
                return "each range must have a greater maximum and interval than the one before"
        count = self.maximum / self.ranges[-1].interval
        if count < least:
            return f"class {self.accuracy_class} wants at least {least} scale intervals, {count:g}"
        for one, following in zip(self.ranges, self.ranges[1:], strict=False):
            wanted = _OF_THE_NEXT[self.accuracy_class]
            if one.maximum < wanted * following.interval:
                return (
                    f"a partial range's maximum must be at least {wanted} intervals of the next: "
                    f"{one.maximum} g is less than {wanted * following.interval} g"
                )
        return None
