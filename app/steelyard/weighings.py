"""The weighings CSV: one row a weighing, with what each load cell carried.

The form is that of data/weighings-600.csv. Weights are decimal kilograms with at most three
decimals and become integer grams exactly; times are RFC 3339 with offset and become milliseconds.
Reading is a stream: a row is checked and yielded before the next one is read.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from steelyard.errors import FieldError, Problem
from steelyard.ticket import (
    MAX_CELLS,
    MAX_GRAMS,
    MAX_RESTART,
    MIN_GRAMS,
    SERIAL_PATTERN,
    STATUS_PATTERN,
    check_vehicle,
    format_timestamp,
    parse_timestamp,
)

# Two names and a time make a ticket's id of at most 96 characters, joined by underscores: a name
# with one would make two readings of an id possible.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.~-]{0,39}$"
MAX_LINE_BYTES = 65_536

_KILOGRAMS = re.compile(r"(-?)(\d{1,9})(?:\.(\d{1,3}))?", re.ASCII)
_CELL_COLUMN = re.compile(r"cell_([1-9]\d?)_(serial|kg)", re.ASCII)

Parser = Callable[[str], Any]
Value = TypeVar("Value")


class BadWeighings(Problem):
    """A weighings file that breaks a rule: its line, its column and what is allowed there."""

    status = 422
    slug = "bad-weighings"
    title = "The weighings file is not valid"


@dataclass(frozen=True, slots=True)
class CellReading:
    """What one load cell carried, in grams."""

    serial: str
    grams: int


@dataclass(frozen=True, slots=True)
class Weighing:
    """One row. Weights in grams, `timestamp` in milliseconds; gross - tare == net."""

    line: int
    station: str
    weighbridge: str
    terminal_serial: str
    terminal_restart: int
    timestamp: int
    scale_serial: str
    status: str
    vehicle: str | None
    gross: int
    tare: int
    net: int
    cells: tuple[CellReading, ...]


def parse_kilograms(text: str, low: int = MIN_GRAMS, high: int = MAX_GRAMS) -> int:
    """Grams of a decimal number of kilograms, exactly. Raises ValueError with what is allowed."""
    match = _KILOGRAMS.fullmatch(text)
    if not match:
        raise ValueError("must be kilograms as a decimal number with at most 3 decimals")
    sign, whole, fraction = match.groups()
    grams = int(whole) * 1000 + int((fraction or "0").ljust(3, "0"))
    grams = -grams if sign else grams
    if not low <= grams <= high:
        raise ValueError(f"must be from {format_kilograms(low)} to {format_kilograms(high)} kg")
    return grams


def format_kilograms(grams: int) -> str:
    """The shortest decimal number of kilograms that says these grams."""
    whole, fraction = divmod(abs(grams), 1000)
    text = f"{whole}.{fraction:03d}".rstrip("0").rstrip(".")
    return f"-{text}" if grams < 0 else text


def _load(text: str) -> int:
    return parse_kilograms(text, low=0)


def _matching(pattern: str, allowed: str) -> Parser:
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"must be {allowed}")
        return text

    return parse


def _restart(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > MAX_RESTART:
        raise ValueError(f"must be a whole number from 0 to {MAX_RESTART}")
    return int(text)


def _vehicle(text: str) -> str | None:
    return check_vehicle(text) or None


parse_name = _matching(NAME_PATTERN, "1 to 40 letters, digits or . ~ -, a letter or digit first")
parse_serial = _matching(
    SERIAL_PATTERN, "1 to 32 printable ASCII characters without blanks at the ends"
)
_status = _matching(STATUS_PATTERN, "1 to 12 lower-case letters, digits or hyphens, a letter first")

# What a station's SmartBox knows of a weighing before the load cells have said anything.
STATION_COLUMNS: Mapping[str, Parser] = {
    "station": parse_name,
    "weighbridge": parse_name,
    "terminal_serial": parse_serial,
    "terminal_restart": _restart,
    "timestamp": parse_timestamp,
    "scale_serial": parse_serial,
    "scale_status": _status,
    "vehicle": _vehicle,
    "tare_kg": _load,
}
WEIGHING_COLUMNS: Mapping[str, Parser] = {
    **STATION_COLUMNS,
    "gross_kg": _load,
    "net_kg": parse_kilograms,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One checked line: the values by column, and the fields of each cell that is not empty."""

    line: int
    values: dict[str, Any]
    cells: tuple[dict[str, Any], ...]


class Table:
    """A CSV file with exactly the given columns, and `cell_N_<field>` for each field of a cell."""

    def __init__(
        self, path: Path, columns: Mapping[str, Parser], cell_fields: Mapping[str, Parser]
    ) -> None:
        self._path = path
        self._columns = columns
        self._cell_fields = cell_fields

    def wrong(self, line: int, column: str, message: str) -> BadWeighings:
        """The error for one place of the file."""
        place = f"line {line}, column {column}" if column else f"line {line}"
        return BadWeighings(
            f"{self._path}: {place}: {message}", errors=[FieldError(place, message)]
        )

    def rows(self) -> Iterator[Row]:
        """Check and yield one row after the other. Raises BadWeighings at the first bad one."""
        try:
            with self._path.open("rb") as stream:
                yield from self._read(stream)
        except OSError as error:
            raise BadWeighings(f"{self._path}: cannot be read: {error.strerror}") from None

    def _lines(self, stream: BinaryIO) -> Iterator[str]:
        number = 0
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise self.wrong(number, "", f"must be at most {MAX_LINE_BYTES} bytes long")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise self.wrong(number, "", "must be UTF-8") from None

    def _read(self, stream: BinaryIO) -> Iterator[Row]:
        reader = csv.reader(self._lines(stream), strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise BadWeighings(f"{self._path}: is empty; its first line must name the columns")
            cell_count = self._check_header(header)
            for fields in reader:
                if len(fields) != len(header):
                    raise self.wrong(
                        reader.line_num, "", f"must have {len(header)} fields, has {len(fields)}"
                    )
                yield self._row(reader.line_num, dict(zip(header, fields, strict=True)), cell_count)
        except csv.Error as error:
            raise self.wrong(reader.line_num, "", f"is not valid CSV: {error}") from None

    def _check_header(self, header: list[str]) -> int:
        for name in header:
            if header.count(name) > 1:
                raise self.wrong(1, name, "stands more than once")
        numbers = {
            int(match[1])
            for name in header
            if (match := _CELL_COLUMN.fullmatch(name)) and match[2] in self._cell_fields
        }
        cell_count = max(numbers, default=1 if self._cell_fields else 0)
        if cell_count > MAX_CELLS:
            raise BadWeighings(f"{self._path}: there are at most {MAX_CELLS} cells in a row")
        wanted = [*self._columns]
        for number in range(1, cell_count + 1):
            wanted += [f"cell_{number}_{name}" for name in self._cell_fields]
        missing = [name for name in wanted if name not in header]
        if missing:
            raise self.wrong(1, missing[0], f"is missing; there must be {', '.join(wanted)}")
        for name in header:
            if name not in wanted:
                shown = name[:40] or "(empty)"
                raise self.wrong(1, shown, f"is unknown; there must be {', '.join(wanted)}")
        return cell_count

    def _row(self, line: int, fields: dict[str, str], cell_count: int) -> Row:
        values = {
            name: self._value(line, name, fields[name], parser)
            for name, parser in self._columns.items()
        }
        cells: list[dict[str, Any]] = []
        ended = False
        for number in range(1, cell_count + 1):
            names = {name: f"cell_{number}_{name}" for name in self._cell_fields}
            if all(fields[column] == "" for column in names.values()):
                ended = True
                continue
            if ended:
                raise self.wrong(line, f"cell_{number}_serial", "stands behind an empty cell")
            cells.append(
                {
                    name: self._value(line, column, fields[column], self._cell_fields[name])
                    for name, column in names.items()
                }
            )
        self._check_serials(line, cells)
        return Row(line, values, tuple(cells))

    def _check_serials(self, line: int, cells: list[dict[str, Any]]) -> None:
        if self._cell_fields and not cells:
            raise self.wrong(line, "cell_1_serial", "is empty; there must be at least one cell")
        seen: set[str] = set()
        for number, cell in enumerate(cells, start=1):
            if cell["serial"] in seen:
                raise self.wrong(line, f"cell_{number}_serial", "names a cell twice in this row")
            seen.add(cell["serial"])

    def _value(self, line: int, column: str, text: str, parser: Callable[[str], Value]) -> Value:
        try:
            return parser(text)
        except ValueError as error:
            shown = repr(text if len(text) <= 40 else text[:39] + "…")
            raise self.wrong(line, column, f"{error}; it is {shown}") from None


class Once:
    """Refuses a second row for the same weighbridge and time: they would be one ticket."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._lines: dict[tuple[str, str, int], int] = {}

    def check(self, row: Row) -> None:
        """Raise BadWeighings, naming both lines, if the row's weighing was there before."""
        key = (row.values["station"], row.values["weighbridge"], row.values["timestamp"])
        first = self._lines.setdefault(key, row.line)
        if first != row.line:
            raise self._table.wrong(
                row.line,
                "timestamp",
                f"must be unique for a weighbridge; line {first} has the same weighbridge and time "
                f"{format_timestamp(key[2])}",
            )


def read_weighings(path: Path) -> Iterator[Weighing]:
    """The weighings of a file, one at a time.

    Raises BadWeighings at the first thing that is wrong, with its line, column and what is
    allowed. `cell_N_serial` and `cell_N_kg` run from 1 without a gap; a row may leave the last
    ones empty. Rows may stand in any order.
    """
    table = Table(path, WEIGHING_COLUMNS, {"serial": parse_serial, "kg": parse_kilograms})
    once = Once(table)
    for row in table.rows():
        once.check(row)
        values = row.values
        if values["gross_kg"] - values["tare_kg"] != values["net_kg"]:
            raise table.wrong(row.line, "net_kg", "must be gross_kg minus tare_kg")
        yield Weighing(
            line=row.line,
            station=values["station"],
            weighbridge=values["weighbridge"],
            terminal_serial=values["terminal_serial"],
            terminal_restart=values["terminal_restart"],
            timestamp=values["timestamp"],
            scale_serial=values["scale_serial"],
            status=values["scale_status"],
            vehicle=values["vehicle"],
            gross=values["gross_kg"],
            tare=values["tare_kg"],
            net=values["net_kg"],
            cells=tuple(CellReading(cell["serial"], cell["kg"]) for cell in row.cells),
        )
