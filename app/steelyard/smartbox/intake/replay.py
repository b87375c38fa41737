"""The replayed weighings of a station, without what the load cells carried (paper, IV.A)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.smartbox.errors import NoSuchWeighing
from steelyard.smartbox.models import Moment
from steelyard.ticket import format_timestamp
from steelyard.weighings import STATION_COLUMNS, Once, Table, parse_serial


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """What the SmartBox knows of a weighing before its cells have spoken. `tare` in grams."""

    terminal_serial: str
    terminal_restart: int
    scale_serial: str
    status: str
    vehicle: str | None
    tare: int
    cells: tuple[str, ...]


class Replay:
    """The rows of one station by weighbridge and time."""

    def __init__(self, rows: Mapping[Moment, ReplayRow]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def read(cls, path: Path, station: str, bridges: Mapping[str, frozenset[str]]) -> "Replay":
        """Read the rows; `bridges` are the station's weighbridges with their cells' serials.

        The file is a weighings CSV without `gross_kg`, `net_kg` and `cell_N_kg`: the serials say
        which cells take part, in which order. Raises BadWeighings.
        """
        table = Table(path, STATION_COLUMNS, {"serial": parse_serial})
        once = Once(table)
        rows: dict[Moment, ReplayRow] = {}
        for row in table.rows():
            once.check(row)
            values = row.values
            if values["station"] != station:
                raise table.wrong(row.line, "station", f"must be {station}, this SmartBox's")
            cells = tuple(str(cell["serial"]) for cell in row.cells)
            known = bridges.get(values["weighbridge"])
            if known is None:
                allowed = ", ".join(sorted(bridges))
                raise table.wrong(row.line, "weighbridge", f"must be one of {allowed}")
            for number, serial in enumerate(cells, start=1):
                if serial not in known:
                    raise table.wrong(
                        row.line,
                        f"cell_{number}_serial",
                        f"must be a cell of {values['weighbridge']} in the configuration",
                    )
            rows[Moment(values["weighbridge"], values["timestamp"])] = ReplayRow(
                terminal_serial=values["terminal_serial"],
                terminal_restart=values["terminal_restart"],
                scale_serial=values["scale_serial"],
                status=values["scale_status"],
                vehicle=values["vehicle"],
                tare=values["tare_kg"],
                cells=cells,
            )
        return cls(rows)

    def row(self, moment: Moment) -> ReplayRow:
        """The row of this weighing. Raises NoSuchWeighing."""
        found = self._rows.get(moment)
        if found is None:
            raise NoSuchWeighing(
                f"{moment.weighbridge} has no weighing at {format_timestamp(moment.time)}"
            )
        return found

    def cells_of(self, moment: Moment) -> tuple[str, ...] | None:
        """The cells of this weighing's row, or None without a row."""
        found = self._rows.get(moment)
        return found.cells if found else None
