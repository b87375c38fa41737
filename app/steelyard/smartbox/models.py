"""What a SmartBox handles on the way from a sample to a ticket."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Moment:
    """Where and when a weighing was: the weighbridge and the samples' time in milliseconds."""

    weighbridge: str
    time: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What one load cell said: its raw value in kg at a time in milliseconds.

    `sequence` numbers the cell's samples; a repeated sample has the same number and value.
    """

    cell: str
    time: int
    sequence: int
    raw: Decimal

    def as_list(self) -> list[Any]:
        """The JSON form in the alibi memory."""
        return [self.cell, self.time, self.sequence, str(self.raw)]


@dataclass(frozen=True, slots=True)
class Joined:
    """The samples of all the cells of a weighbridge for one moment, in the cells' order."""

    moment: Moment
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class FirstPass:
    """A vehicle's open first pass: its ticket, its gross in grams, its time in milliseconds.

    `boot` and `uptime` (milliseconds) stand behind the time as long as that is not known.
    """

    ticket: str
    gross: int
    time: int
    boot: str | None = None
    uptime: int | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """A weighbridge's compensated weight in grams: rounded to the scale interval, and by cell."""

    gross: int
    cells: tuple[tuple[str, int], ...]
