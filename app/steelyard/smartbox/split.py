"""Splitting a weighings CSV as the paper's experiment does (IV.A): rows here, weights there.

A station's SmartBox gets its rows without what the cells carried; each load cell gets its own
column of weights.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.ticket import format_timestamp
from steelyard.weighings import BadWeighings, Weighing, format_kilograms, read_weighings

CELL_COLUMNS = ("timestamp", "kg")
ROW_COLUMNS = (
    "station",
    "weighbridge",
    "terminal_serial",
    "terminal_restart",
    "timestamp",
    "scale_serial",
    "scale_status",
    "vehicle",
    "tare_kg",
)
# OIML R 76-1, 4.2.2.1: 1, 2 or 5 times a power of ten. 50 kg is the greatest of truck scales.
INTERVALS = tuple(step * 10**power for power in range(5) for step in (1, 2, 5))
FLUSH_LINES = 10_000


@dataclass(slots=True)
class WeighbridgePart:
    """A weighbridge and, by serial, each cell's file, in the order in which the CSV has them.

    `intervals` are those scale intervals, in grams, to which every gross of the weighbridge is
    the rounded sum of its cells.
    """

    name: str
    scale_serial: str
    cells: dict[str, Path] = field(default_factory=dict)
    intervals: tuple[int, ...] = INTERVALS
    greatest_gross: int = 0

    @property
    def scale_interval_grams(self) -> int:
        """The greatest interval that fits."""
        return max(self.intervals)


@dataclass(slots=True)
class StationPart:
    """A station: the file for `smartbox run --replay`, how many rows it has, its weighbridges."""

    name: str
    terminal_serial: str
    rows_file: Path
    rows: int = 0
    weighbridges: dict[str, WeighbridgePart] = field(default_factory=dict)


def split_weighings(source: Path, directory: Path) -> dict[str, StationPart]:
    """Write `<station>/rows.csv` and `<station>/cell-<n>.csv`; describe the stations found.

    The source is read twice, as a stream. Raises BadWeighings for what is wrong in it, for a
    gross that is not the rounded sum of its cells, and for a cell under two weighbridges.
    """
    most_cells = max((len(weighing.cells) for weighing in read_weighings(source)), default=1)
    splitter = _Splitter(source, directory, most_cells)
    for weighing in read_weighings(source):
        splitter.add(weighing)
    splitter.flush()
    return splitter.stations


class _Splitter:
    def __init__(self, source: Path, directory: Path, most_cells: int) -> None:
        self.stations: dict[str, StationPart] = {}
        self._source = source
        self._directory = directory
        self._most_cells = most_cells
        self._owners: dict[str, tuple[str, str]] = {}
        # Buffered by file and appended now and then: there may be more files than descriptors.
        self._lines: defaultdict[Path, list[Sequence[object]]] = defaultdict(list)
        self._buffered = 0

    def add(self, weighing: Weighing) -> None:
        station = self._station(weighing)
        bridge = station.weighbridges.setdefault(
            weighing.weighbridge, WeighbridgePart(weighing.weighbridge, weighing.scale_serial)
        )
        station.rows += 1
        self._write(station.rows_file, self._row(weighing))
        for cell in weighing.cells:
            path = self._cell(station, bridge, cell.serial, weighing.line)
            time = format_timestamp(weighing.timestamp)
            self._write(path, [time, format_kilograms(cell.grams)])
        self._narrow(bridge, weighing)
        bridge.greatest_gross = max(bridge.greatest_gross, weighing.gross)

    def flush(self) -> None:
        for path, lines in self._lines.items():
            with path.open("a", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(lines)
        self._lines.clear()
        self._buffered = 0

    def _write(self, path: Path, line: Sequence[object]) -> None:
        self._lines[path].append(line)
        self._buffered += 1
        if self._buffered >= FLUSH_LINES:
            self.flush()

    def _create(self, path: Path, header: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", "utf-8")
        self._write(path, header)

    def _station(self, weighing: Weighing) -> StationPart:
        station = self.stations.get(weighing.station)
        if station is None:
            path = self._directory / weighing.station / "rows.csv"
            station = StationPart(weighing.station, weighing.terminal_serial, path)
            self.stations[weighing.station] = station
            serials = [f"cell_{number}_serial" for number in range(1, self._most_cells + 1)]
            self._create(path, [*ROW_COLUMNS, *serials])
        return station

    def _cell(self, station: StationPart, bridge: WeighbridgePart, serial: str, line: int) -> Path:
        owner = self._owners.setdefault(serial, (station.name, bridge.name))
        if owner != (station.name, bridge.name):
            raise BadWeighings(
                f"{self._source}: line {line}: cell {serial} must stand under one weighbridge; "
                f"it stands under {owner[1]} already"
            )
        if serial not in bridge.cells:
            # Numbered, not named after the serial: that may hold a slash.
            path = self._directory / station.name / f"cell-{len(self._owners)}.csv"
            bridge.cells[serial] = path
            self._create(path, CELL_COLUMNS)
        return bridge.cells[serial]

    def _row(self, weighing: Weighing) -> list[object]:
        serials = [cell.serial for cell in weighing.cells]
        return [
            weighing.station,
            weighing.weighbridge,
            weighing.terminal_serial,
            weighing.terminal_restart,
            format_timestamp(weighing.timestamp),
            weighing.scale_serial,
            weighing.status,
            weighing.vehicle or "",
            format_kilograms(weighing.tare),
            *serials,
            *[""] * (self._most_cells - len(serials)),
        ]

    def _narrow(self, bridge: WeighbridgePart, weighing: Weighing) -> None:
        total = sum(cell.grams for cell in weighing.cells)
        bridge.intervals = tuple(
            interval for interval in bridge.intervals if _rounded(total, interval) == weighing.gross
        )
        if not bridge.intervals:
            raise BadWeighings(
                f"{self._source}: line {weighing.line}, column gross_kg: must be the sum of the "
                f"cells, {format_kilograms(total)} kg, rounded to a scale interval that fits all "
                f"of {bridge.name}'s rows"
            )


def _rounded(grams: int, interval: int) -> int:
    rounded = (abs(grams) + interval // 2) // interval * interval
    return rounded if grams >= 0 else -rounded
