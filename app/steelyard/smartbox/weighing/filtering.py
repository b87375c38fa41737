"""Filters for the cells' forces, each with its settling time.

The settling time is how long after a step the output is within 1/10,000 of the step for good: with
40 t on a scale of 20 kg that is 4 kg, a fifth of an interval. A filter works on all the cells of a
bridge at once, so that the gross is the sum of what the ticket says of its cells.
"""

import math
from collections import deque
from statistics import median
from typing import Literal, Protocol

Kind = Literal["none", "average", "exponential", "median"]
Forces = tuple[float, ...]

SETTLED = 1e-4
# Where (1 + x) exp(-x), the step response of two equal stages, has fallen to SETTLED.
_TWO_STAGES = 11.7564


class Filter(Protocol):
    """Smooths the forces of a bridge's cells."""

    settling_seconds: float

    def push(self, forces: Forces) -> Forces:
        """The smoothed forces after these."""
        ...

    def reset(self) -> None:
        """Forget everything: the next forces are the first."""
        ...


class NoFilter:
    """What comes is what goes."""

    settling_seconds = 0.0

    def push(self, forces: Forces) -> Forces:
        """See `Filter.push`."""
        return forces

    def reset(self) -> None:
        """See `Filter.reset`."""


class _Window:
    """The last `count` forces, cell by cell."""

    def __init__(self, count: int, rate: float) -> None:
        self.settling_seconds = count / rate
        self._count = count
        self._columns: list[deque[float]] = []

    def _add(self, forces: Forces) -> list[deque[float]]:
        if not self._columns:
            self._columns = [deque(maxlen=self._count) for _ in forces]
        for column, force in zip(self._columns, forces, strict=True):
            column.append(force)
        return self._columns

    def reset(self) -> None:
        """See `Filter.reset`."""
        self._columns = []


class Average(_Window):
    """The mean of the last `count` forces: settles fully in its own length."""

    def push(self, forces: Forces) -> Forces:
        """See `Filter.push`."""
        # Summed anew each time: a running sum would keep every rounding it ever made.
        return tuple([math.fsum(column) / len(column) for column in self._add(forces)])


class Median(_Window):
    """The median of the last `count` forces, cell by cell: single outliers leave no trace."""

    def push(self, forces: Forces) -> Forces:
        """See `Filter.push`."""
        return tuple([median(column) for column in self._add(forces)])


class Exponential:
    """Two equal low-pass stages, for platforms that sway; settles in `seconds`."""

    def __init__(self, seconds: float, rate: float) -> None:
        self.settling_seconds = seconds
        self._share = 1.0 - math.exp(-_TWO_STAGES / (seconds * rate))
        self._first: Forces = ()
        self._second: Forces = ()

    def push(self, forces: Forces) -> Forces:
        """See `Filter.push`."""
        if not self._first:
            self._first = self._second = forces
            return forces
        share = self._share
        self._first = _towards(self._first, forces, share)
        self._second = _towards(self._second, self._first, share)
        return self._second

    def reset(self) -> None:
        """See `Filter.reset`."""
        self._first = self._second = ()


def _towards(old: Forces, new: Forces, share: float) -> Forces:
    return tuple(one + (other - one) * share for one, other in zip(old, new, strict=True))


def make_filter(kind: Kind, seconds: float, rate: float) -> Filter:
    """A filter that settles in about `seconds` at `rate` forces a second."""
    count = max(1, round(seconds * rate))
    if kind == "none" or count == 1:
        return NoFilter()
    if kind == "average":
        return Average(count, rate)
    if kind == "median":
        return Median(count, rate)
    return Exponential(seconds, rate)
