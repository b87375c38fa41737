"""Watching the cells of a bridge: which of them cannot be trusted, and why.

A significant fault must be acted upon (OIML R 76-1, 5.2); a bridge with a faulty cell gives no
ticket, or a degraded one where that is allowed.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import fsum, isfinite
from statistics import median
from typing import Literal

from steelyard.smartbox.models import Sample
from steelyard.smartbox.weighing.reason import Reason

Fault = Literal["silent", "stuck", "drifting", "repeating", "absurd", "clock"]
MEANINGS: dict[Fault, str] = {
    "silent": "has sent nothing for too long",
    "stuck": "shows the same value while the others move",
    "drifting": "has left its zero, the others have not",
    "repeating": "repeats sequence numbers",
    "absurd": "shows values that no load on it can have",
    "clock": "sends samples of the future or the past",
}

# A bad sample weighs two, a good one takes one off: three in a row are a fault, or every second.
_BAD_WEIGHS = 2
_BAD_LIMIT = 6
_GOOD_AGAIN = 20
# A pack whose answer was lost is sent again, on a new session too: so many samples are kept for it.
_KEPT = 128


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What a cell may do. Times in milliseconds, loads in grams; `absurd` in raw kilograms."""

    silence: int
    clock: int
    absurd: float
    stuck_time: int
    stuck_move: float
    drift: float
    drift_time: int


@dataclass(slots=True)
class _Cell:
    heard: int
    sequence: int = -1
    time: int = -1
    bad: int = 0
    good: int = 0
    fault: Fault | None = None
    same_since: int = -1
    same_value: float | None = None
    moved: bool = False
    others: float = 0.0
    away_since: int | None = None
    back_since: int | None = None
    kept: deque[tuple[int, int, Decimal]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def took(self, sample: Sample) -> None:
        self.sequence, self.time = sample.sequence, sample.time
        self.kept.append((sample.sequence, sample.time, sample.raw))

    def has_taken(self, sample: Sample) -> bool:
        return (sample.sequence, sample.time, sample.raw) in self.kept


@dataclass(slots=True)
class Watch:
    """The health of a bridge's cells. `start` is when it began to listen.

    `faulty` are the numbers of the cells that are not to be trusted.
    """

    serials: Sequence[str]
    limits: WatchLimits
    start: int
    ignored: int = 0
    faulty: frozenset[int] = field(init=False, default=frozenset())
    _cells: list[_Cell] = field(init=False)
    _reference: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self._cells = [_Cell(self.start) for _ in self.serials]
        self._reference = [0.0] * len(self.serials)

    def _find(self, cell: _Cell, fault: Fault | None) -> None:
        if fault == cell.fault:
            return
        cell.fault = fault
        self.faulty = frozenset(n for n, one in enumerate(self._cells) if one.fault is not None)

    def faults(self) -> dict[str, Fault]:
        """The faults by the cell's serial."""
        return {
            serial: cell.fault
            for serial, cell in zip(self.serials, self._cells, strict=True)
            if cell.fault is not None
        }

    def sentence(self) -> Reason:
        """Which cells are faulty, and how."""
        faults = self.faults()
        text = "; ".join(f"cell {serial} {MEANINGS[why]}" for serial, why in faults.items())
        return Reason("faulty-cells", text, cells=faults)

    def accept(self, number: int, sample: Sample, now: int) -> bool:
        """Whether a sample may be used; several that may not are a fault.

        One that was taken already and comes again as it was is no fault, and no sign of life: a
        cell that hears no answer repeats its pack, as CoAP has it (RFC 7252, 4.2).
        """
        cell = self._cells[number]
        if sample.sequence <= cell.sequence and cell.has_taken(sample):
            self.ignored += 1
            return False
        cell.heard = now
        wrong = self._wrong(cell, sample, now)
        if wrong is not None:
            self.ignored += 1
            cell.good = 0
            cell.bad = min(cell.bad + _BAD_WEIGHS, 2 * _BAD_LIMIT)
            if cell.bad >= _BAD_LIMIT and cell.fault in (None, "silent"):
                self._find(cell, wrong)
            return False
        cell.took(sample)
        cell.bad = max(0, cell.bad - 1)
        cell.good += 1
        if cell.good >= _GOOD_AGAIN and cell.fault in ("silent", "repeating", "absurd", "clock"):
            self._find(cell, None)
            cell.bad = 0
        return True

    def _wrong(self, cell: _Cell, sample: Sample, now: int) -> Fault | None:
        if not sample.raw.is_finite() or abs(sample.raw) > self.limits.absurd:
            return "absurd"
        if abs(sample.time - now) > self.limits.clock:
            return "clock"
        if sample.sequence <= cell.sequence:
            return "repeating"
        return "clock" if sample.time <= cell.time else None

    def rebase(self, now: int, step: int) -> None:
        """The clock was set, by so many milliseconds: cells' own times may go back with it.

        Whatever was found or suspected stays, and since when, by the new time.
        """
        for cell in self._cells:
            cell.heard, cell.time = now, -1
            cell.same_since += step
            cell.away_since = None if cell.away_since is None else cell.away_since + step
            cell.back_since = None if cell.back_since is None else cell.back_since + step

    def tick(self, now: int) -> None:
        """Look for cells that have gone silent."""
        for cell in self._cells:
            if now - cell.heard > self.limits.silence:
                self._find(cell, cell.fault or "silent")
                cell.good = 0

    def refer_to(self, forces: Sequence[float]) -> None:
        """Take these forces for those of the empty bridge, from which a cell may drift."""
        self._reference = list(forces)

    def look(self, time: int, raw: Sequence[float | None], forces: Sequence[float | None]) -> None:
        """Compare the cells with each other: their raw values, and their forces in grams."""
        known = [force for force in forces if force is not None]
        total = fsum(known)
        for number, cell in enumerate(self._cells):
            value, force = raw[number], forces[number]
            if value is not None and force is not None:
                self._look_for_stuck(cell, time, value, total - force)
        self._look_for_drift(time, forces)

    def _look_for_stuck(self, cell: _Cell, time: int, value: float, others: float) -> None:
        limits = self.limits
        if value != cell.same_value or not isfinite(others):
            cell.same_value, cell.same_since = value, time
            cell.others, cell.moved = others, False
            if cell.fault == "stuck":
                self._find(cell, None)
            return
        cell.moved = cell.moved or abs(others - cell.others) >= limits.stuck_move
        if cell.moved and time - cell.same_since >= limits.stuck_time:
            self._find(cell, cell.fault or "stuck")

    def _look_for_drift(self, time: int, forces: Sequence[float | None]) -> None:
        away = [
            None if force is None else force - reference
            for force, reference in zip(forces, self._reference, strict=True)
        ]
        known = [one for one in away if one is not None]
        # Beside a lost cell its partner would seem to move alone as the first axle comes.
        lost = any(cell.fault not in (None, "drifting") for cell in self._cells)
        if lost or len(known) < max(3, len(away)):
            return
        middle = median(known)
        apart = [0.0 if one is None else abs(one - middle) for one in away]
        half = self.limits.drift / 2
        *_, second, first = sorted(apart)
        for number, cell in enumerate(self._cells):
            # A load moves at least two cells. One alone, while its sisters rest, has drifted.
            sisters = second if apart[number] == first else first
            alone = apart[number] > self.limits.drift and sisters <= half
            if away[number] is not None:
                self._judge_drift(cell, time, alone=alone, back=first <= half)

    def _judge_drift(self, cell: _Cell, time: int, *, alone: bool, back: bool) -> None:
        hold = self.limits.drift_time
        cell.away_since = (cell.away_since or time) if alone else None
        cell.back_since = (cell.back_since or time) if back else None
        if cell.away_since is not None and time - cell.away_since >= hold:
            self._find(cell, cell.fault or "drifting")
        if cell.fault == "drifting" and cell.back_since and time - cell.back_since >= hold:
            self._find(cell, None)
