"""What stands on a printed ticket: the same for the page and for the PDF."""

from dataclasses import asdict, dataclass
from typing import Any

from steelyard.smartbox.display.book import Entry
from steelyard.smartbox.display.code import Code, make_code
from steelyard.smartbox.display.words import Words


@dataclass(frozen=True, slots=True)
class Line:
    """A label and its value; `strong` for the weights."""

    label: str
    value: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A ticket in one language. `way` says where it is on its way to the ledger.

    `refused` tells that it will not be on the ledger as it is; `code` is None before it has a
    receipt, and `about_code` says what the code is good for, or why there is none.
    """

    language: str
    title: str
    station: str
    lines: tuple[Line, ...]
    cells_title: str
    cells: tuple[Line, ...]
    way_title: str
    way: tuple[Line, ...]
    refused: bool
    about_code: str
    code: Code | None

    def as_json(self) -> dict[str, Any]:
        """For the page, which fetches the code as an image."""
        names = [name for name in self.__slots__ if name not in {"code", "lines", "cells", "way"}]
        return {
            **{name: getattr(self, name) for name in names},
            "lines": [asdict(line) for line in self.lines],
            "cells": [asdict(line) for line in self.cells],
            "way": [asdict(line) for line in self.way],
            "code": self.code is not None,
        }


def make_sheet(entry: Entry, station: str, words: Words) -> Sheet:
    """The printed form of a ticket."""
    ticket, say = entry.ticket, words.say
    code = make_code(entry) if entry.receipt else None
    lines = (
        Line(say("sheet.id"), ticket.id),
        Line(say("sheet.time"), words.moment(ticket.timestamp)),
        Line(say("sheet.vehicle"), ticket.vehicle or say("sheet.no-vehicle")),
        Line(say("sheet.scale"), ticket.scale_serial),
        Line(say("sheet.status"), words.status(ticket.status)),
        Line(say("sheet.gross"), words.kilograms(ticket.gross), strong=True),
        Line(say("sheet.tare"), words.kilograms(ticket.tare), strong=True),
        Line(say("sheet.net"), words.kilograms(ticket.net), strong=True),
        Line(say("sheet.terminal"), f"{ticket.terminal_serial} / {ticket.terminal_restart}"),
        Line(say("sheet.record"), str(entry.sequence)),
    )
    return Sheet(
        language=words.language,
        title=say("sheet.title"),
        station=" ".join((say("sheet.station"), station)),
        lines=lines,
        cells_title=say("sheet.cells"),
        cells=tuple(Line(c.serial, words.kilograms(c.weight, 3)) for c in ticket.cells),
        way_title=say("sheet.ledger"),
        way=tuple(_way(entry, words)),
        refused=entry.problem is not None,
        about_code=say(_about_code(entry, code)),
        code=code,
    )


def _about_code(entry: Entry, code: Code | None) -> str:
    if entry.settled is not None:
        return "sheet.never-code"
    if code is None:
        return "sheet.no-code"
    return "sheet.code" if code.has_ticket else "sheet.code-receipt-only"


def _way(entry: Entry, words: Words) -> list[Line]:
    state = Line(words.say("sheet.state"), words.say(f"ledger.{entry.state}"))
    if entry.receipt is not None:
        return [
            state,
            Line(words.say("sheet.transaction"), entry.receipt.transaction_hash),
            Line(words.say("sheet.block"), str(entry.receipt.block_number)),
        ]
    if entry.problem is not None:
        why = Line(words.say("sheet.why"), why_refused(entry.problem))
        settled = [Line(words.say("sheet.settled"), entry.settled)] if entry.settled else []
        return [state, why, *settled]
    return [state]


def why_refused(problem: dict[str, Any]) -> str:
    """The platform's reason, in its own words; whatever it sent, it is a text."""
    detail, title = problem.get("detail"), problem.get("title")
    return str(detail or title or problem.get("status") or "?")[:500]
