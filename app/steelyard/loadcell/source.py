"""Where a load cell's weights come from: a replayed file, or a simple simulated load.

Without pydantic: sixteen of these processes may run on one machine.
"""

import csv
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from steelyard.loadcell.errors import BadSource

COLUMNS = ["timestamp", "kg"]
# SenML takes a smaller time for one relative to now (RFC 8428, 4.5.3).
EARLIEST_MS = 2**28 * 1000
MAX_KILOGRAMS = 10_000_000

_KILOGRAMS = re.compile(r"-?\d{1,8}(\.\d{1,3})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,3}0{0,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the cell carried: the sample's number, its time in milliseconds, its raw value in kg.

    `celsius` is the cell's temperature, where it knows one.
    """

    sequence: int
    time: int
    kilograms: Decimal
    celsius: float | None = None


def replay(path: Path, start: int) -> Iterator[Reading]:
    """The rows `timestamp,kg` of a file from row number `start` (0: the first) on.

    Every row is checked, those before `start` too. Raises BadSource.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            try:
                if next(rows, None) != COLUMNS:
                    raise BadSource(f"{path}: line 1: must be {','.join(COLUMNS)}")
                for number, fields in enumerate(rows):
                    reading = _read(path, rows.line_num, number, fields)
                    if number >= start:
                        yield reading
            except csv.Error as error:
                raise BadSource(f"{path}: line {rows.line_num}: {error}") from None
            except UnicodeDecodeError:
                raise BadSource(f"{path}: line {rows.line_num + 1}: must be UTF-8") from None
    except OSError as error:
        raise BadSource(f"{path}: cannot be read: {error.strerror}") from None


def _read(path: Path, line: int, number: int, fields: list[str]) -> Reading:
    if len(fields) != len(COLUMNS):
        raise BadSource(f"{path}: line {line}: must have {len(COLUMNS)} fields")
    moment, weight = fields
    milliseconds = _milliseconds(moment)
    if milliseconds is None:
        raise BadSource(
            f"{path}: line {line}, column timestamp: must be an RFC 3339 time with offset, after "
            "1978-07-05, not finer than a millisecond"
        )
    if not _KILOGRAMS.fullmatch(weight) or abs(Decimal(weight)) > MAX_KILOGRAMS:
        raise BadSource(
            f"{path}: line {line}, column kg: must be kilograms with at most 3 decimals, from "
            f"-{MAX_KILOGRAMS} to {MAX_KILOGRAMS}"
        )
    return Reading(number, milliseconds, Decimal(weight))


def _milliseconds(text: str) -> int | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return milliseconds if milliseconds >= EARLIEST_MS else None


class SimulatedLoad:
    """A load that changes at every whole multiple of the interval.

    The cells of a weighbridge speak of the same times, as long as their clocks agree; what a cell
    carries at a time depends on `seed`, its serial and the time only.
    """

    def __init__(
        self,
        serial: str,
        seed: int,
        interval: float,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._serial = serial
        self._seed = seed
        self._interval_ms = max(1, round(interval * 1000))
        self._clock = clock

    def readings(self, start: int) -> Iterator[Reading]:
        """Readings without end, the first at the next multiple: it may lie in the future.

        So a cell that starts again never speaks twice of one time.
        """
        moment = self._current() + self._interval_ms
        sequence = start
        while True:
            yield Reading(sequence, moment, self._weight(moment))
            moment = max(moment + self._interval_ms, self._current())
            sequence += 1

    def seconds_until(self, reading: Reading) -> float:
        """How long until the reading's time."""
        return max(0, reading.time - self._clock()) / 1000

    def _current(self) -> int:
        return self._clock() // self._interval_ms * self._interval_ms

    def _weight(self, moment: int) -> Decimal:
        chance = random.Random(f"{self._seed} {self._serial} {moment}")  # noqa: S311 - a simulation
        return Decimal(chance.randrange(500_000, 9_000_000)) / 1000
