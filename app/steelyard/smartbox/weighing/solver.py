"""From known loads at known places to the factors of the cells, by least squares.

Each loaded row says that the cells' changes from no load, each times its factor, make the load.
There are at most 32 unknowns and the loads at the corners tell them well apart, so the normal
equations in plain Python do; numpy would be ten times the SmartBox's own size.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite, sqrt
from pathlib import Path

from steelyard.smartbox.weighing.calibration import KnownLoad
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.errors import CalibrationImpossible
from steelyard.smartbox.weighing.scale import Scale

COLUMNS = ("place", "load_kg", "celsius")
MAX_UNCERTAINTY = 0.01  # of a factor: more, and the loads do not tell the cells apart


@dataclass(frozen=True, slots=True)
class Observation:
    """A known load (kilograms, 0 for none) and the cells' raw kilograms."""

    place: str
    load: float
    celsius: float | None
    raw: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Solution:
    """The factors, and what the bridge then says of each known load."""

    factors: tuple[CellFactors, ...]
    loads: tuple[KnownLoad, ...]

    @property
    def holds(self) -> bool:
        """Whether every error is within the class's (3.5.1; 3.6.2 for loads at the corners)."""
        return all(abs(one.error) <= one.permissible for one in self.loads)


def read_observations(path: Path, serials: Sequence[str]) -> list[Observation]:
    """The rows of a CSV `place,load_kg,celsius,<serial>,...`, a column for each cell.

    Raises CalibrationImpossible with the line and what is allowed there.
    """
    wanted = [*COLUMNS, *serials]
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            if next(rows, None) != wanted:
                raise CalibrationImpossible(f"{path}: line 1: must be {','.join(wanted)}")
            return [_observe(path, rows.line_num, fields, len(wanted)) for fields in rows]
    except OSError as error:
        raise CalibrationImpossible(f"{path}: cannot be read: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise CalibrationImpossible(f"{path}: is no CSV in UTF-8: {error}") from None


def _observe(path: Path, line: int, fields: list[str], count: int) -> Observation:
    rule = (
        f"{path}: line {line}: must be a place, a load of 0 kg or more, degrees Celsius or "
        "nothing, and a number of kilograms for each cell"
    )
    if len(fields) != count:
        raise CalibrationImpossible(rule)
    place, load_text, celsius_text, *raw_texts = fields
    try:
        load = float(load_text)
        celsius = float(celsius_text) if celsius_text else None
        raw = tuple(float(text) for text in raw_texts)
    except ValueError:
        raise CalibrationImpossible(rule) from None
    if load < 0 or not all(isfinite(one) for one in (*raw, load, celsius or 0.0)):
        raise CalibrationImpossible(rule)
    return Observation(place, load, celsius, raw)


def solve(
    observations: Sequence[Observation], certificates: Sequence[CellFactors], scale: Scale
) -> Solution:
    """The factors that fit best. Raises CalibrationImpossible when the loads do not tell.

    `certificates` carry each cell's linearity and temperature effects, which are corrected first.
    """
    empty = [one for one in observations if one.load == 0]
    loaded = [one for one in observations if one.load > 0]
    count = len(certificates)
    if not empty:
        raise CalibrationImpossible("there must be at least one row without a load (load_kg 0)")
    if len(loaded) <= count:
        raise CalibrationImpossible(
            f"there must be more loaded rows than cells, at least {count + 1}: with fewer nothing "
            f"is left to judge the errors by; there are {len(loaded)}"
        )
    zeros = [
        fsum(_corrected(one, certificates)[number] for one in empty) / len(empty)
        for number in range(count)
    ]
    rows = [
        [value - zero for value, zero in zip(_corrected(one, certificates), zeros, strict=True)]
        for one in loaded
    ]
    products = _least_squares(rows, [one.load for one in loaded])
    span = fsum(products) / count
    factors = tuple(
        replace(cell, zero=zero, span=span, corner=product / span)
        for cell, zero, product in zip(certificates, zeros, products, strict=True)
    )
    return Solution(factors, tuple(_check(one, factors, scale) for one in observations))


def _corrected(one: Observation, cells: Sequence[CellFactors]) -> list[float]:
    return [cell.before_factors(raw, one.celsius) for raw, cell in zip(one.raw, cells, strict=True)]


def _check(one: Observation, factors: Sequence[CellFactors], scale: Scale) -> KnownLoad:
    grams = fsum(cell.grams(raw, one.celsius) for raw, cell in zip(one.raw, factors, strict=True))
    permissible = scale.permissible_error(one.load * 1000) / 1000
    return KnownLoad(place=one.place, load=one.load, shown=grams / 1000, permissible=permissible)


def _least_squares(rows: list[list[float]], loads: list[float]) -> list[float]:
    count = len(rows[0])
    normal = [[fsum(row[i] * row[j] for row in rows) for j in range(count)] for i in range(count)]
    right = [
        fsum(row[i] * load for row, load in zip(rows, loads, strict=True)) for i in range(count)
    ]
    inverse = _inverse(normal)
    found = [fsum(a * b for a, b in zip(line, right, strict=True)) for line in inverse]
    rests = [
        fsum(a * b for a, b in zip(row, found, strict=True)) - load
        for row, load in zip(rows, loads, strict=True)
    ]
    spread = fsum(rest * rest for rest in rests) / (len(rows) - count)
    for number, factor in enumerate(found):
        doubt = sqrt(max(0.0, spread * inverse[number][number]))
        if factor <= 0 or doubt > MAX_UNCERTAINTY * factor:
            raise CalibrationImpossible(
                f"the loads do not determine cell {number + 1}: its factor would be {factor:.4f}, "
                f"give or take {doubt:.4f}; put a load over each corner"
            )
    return found


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """By Gauss and Jordan, the greatest pivot first."""
    size = len(matrix)
    work = [row + [float(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    largest = max(max(map(abs, row)) for row in matrix)
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(work[row][column]))
        if abs(work[best][column]) <= 1e-9 * largest:
            raise CalibrationImpossible(
                "the loads do not tell the cells apart: put a load over each corner"
            )
        work[column], work[best] = work[best], work[column]
        pivot = work[column][column]
        work[column] = [value / pivot for value in work[column]]
        for row in range(size):
            if row != column and (share := work[row][column]):
                work[row] = [a - share * b for a, b in zip(work[row], work[column], strict=True)]
    return [row[size:] for row in work]
