"""Whether what comes back through the API is what stands in the weighings file, field by field."""

from collections.abc import Iterable, Mapping
from typing import Any

from steelyard.demo.plan import StationPlan
from steelyard.ticket import format_timestamp
from steelyard.weighings import Weighing

_SHOWN = 5


def ticket_id(weighing: Weighing) -> str:
    """The id that the SmartBox gives the weighing's ticket."""
    return f"{weighing.station}_{weighing.weighbridge}_{weighing.timestamp}"


def expected_ticket(weighing: Weighing) -> dict[str, Any]:
    """The ticket's JSON, as the API must return it, but for the block."""
    return {
        "ticketID": ticket_id(weighing),
        "terminalSerialNumber": weighing.terminal_serial,
        "terminalRestartValue": weighing.terminal_restart,
        "timestamp": format_timestamp(weighing.timestamp),
        "scaleSerialNumber": weighing.scale_serial,
        "scaleStatus": weighing.status,
        "scaleGross": weighing.gross,
        "scaleTare": weighing.tare,
        "scaleNet": weighing.net,
        "vehicle": weighing.vehicle,
        "cells": [
            {"cellSerialNumber": cell.serial, "cellWeight": cell.grams} for cell in weighing.cells
        ],
        "station": weighing.station,
    }


def differences(stations: Iterable[StationPlan], tickets: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each difference between the file and the tickets; empty when there is none.

    Missing tickets, tickets that are not in the file, tickets that came twice, and every field.
    """
    expected = {
        ticket_id(weighing): expected_ticket(weighing)
        for station in stations
        for weighing in station.weighings
    }
    found: list[str] = []
    seen: set[str] = set()
    for ticket in tickets:
        identifier = str(ticket.get("ticketID"))
        if identifier in seen:
            found.append(f"{identifier} came twice")
        elif identifier not in expected:
            found.append(f"{identifier} is not in the file")
        else:
            found += _fields(identifier, expected[identifier], ticket)
        seen.add(identifier)
    found += [f"{identifier} is missing" for identifier in expected if identifier not in seen]
    return found


def _fields(
    identifier: str, expected: Mapping[str, Any], ticket: Mapping[str, Any]
) -> Iterable[str]:
    for name in sorted({*expected, *ticket} - {"blockNumber"}):
        if expected.get(name) != ticket.get(name):
            yield f"{identifier}: {name} is {ticket.get(name)!r}, not {expected.get(name)!r}"
    if not isinstance(ticket.get("blockNumber"), int):
        yield f"{identifier}: has no blockNumber"


def summary(found: list[str]) -> str:
    """The first differences, for a person."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
