"""Tickets as lines of CSV or NDJSON."""

import csv
import io
import json
import re
from collections.abc import Sequence

from steelyard.tickets.models import FoundTicket

# Cells beyond the columns go, as JSON, into a last column that is empty otherwise: a stream's
# header must be written before the widest ticket is known, and no cell may be lost.
CELL_COLUMNS = 8
_FIXED = (
    "station",
    "ticketID",
    "terminalSerialNumber",
    "terminalRestartValue",
    "timestamp",
    "scaleSerialNumber",
    "scaleStatus",
    "vehicle",
    "scaleGross",
    "scaleTare",
    "scaleNet",
    "blockNumber",
)
# A spreadsheet takes a text that begins so for a formula (CWE-1236), in full width as well, and
# where a semicolon parts the fields also what follows one.
_FORMULA = re.compile(r"(^|;)\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def ndjson_line(ticket: FoundTicket) -> bytes:
    """One ticket as a line of JSON."""
    return ticket.model_dump_json(by_alias=True).encode() + b"\n"


def csv_header() -> bytes:
    """The names of the columns; weights are in grams."""
    cells = [
        f"cell_{n}_{part}" for n in range(1, CELL_COLUMNS + 1) for part in ("serial", "weight")
    ]
    return _line([*_FIXED, *cells, "more_cells"])


def csv_line(ticket: FoundTicket) -> bytes:
    """One ticket as a row (RFC 4180).

    A text that a spreadsheet would run as a formula has an apostrophe put before it.
    """
    fields = ticket.model_dump(mode="json", by_alias=True)
    row = [_text(fields[name]) for name in _FIXED]
    for position in range(CELL_COLUMNS):
        cell = ticket.cells[position] if position < len(ticket.cells) else None
        row += [_text(cell.serial), str(cell.weight)] if cell else ["", ""]
    more = fields["cells"][CELL_COLUMNS:]
    row.append(json.dumps(more, separators=(",", ":")) if more else "")
    return _line(row)


def _text(value: str | int | None) -> str:
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.search(text) else text


def _line(row: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(row)
    return buffer.getvalue().encode()
