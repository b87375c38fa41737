"""Tickets and filters for tests: few different values, so that filters meet and miss."""

import random
from typing import Any

from hypothesis import strategies as st

from steelyard.ticket import (
    MAX_CELLS,
    MAX_GRAMS,
    MAX_RESTART,
    MAX_TIMESTAMP_MS,
    MIN_GRAMS,
    CellWeight,
    Ticket,
    TicketFilter,
)

BASE = 1_605_160_889_392  # a weighing of November 2020
TERMINALS = ("T1", "T 2", "t" * 32)
SCALES = ("WB-1", "WB-2", "WB 3/#")
STATUSES = ("ok", "overload", "no-zero-9-ab")
VEHICLES = (None, "AA-01-BB", "Łódź 7", "車" * 10 + "ab", "T1")
CELLS = ("LC-1", "LC-2", "LC-3", "WB-1")
WEIGHTS = (0, 1, 1000, 999_999, MAX_GRAMS)
CELL_WEIGHTS = (MIN_GRAMS, -1, 0, 1, 1000, MAX_GRAMS)
TIMES = (0, 7, BASE, BASE + 1, BASE + 3_600_000, MAX_TIMESTAMP_MS - 300, MAX_TIMESTAMP_MS)


def make_ticket(**changes: Any) -> Ticket:
    """A plain ticket, with what a test changes; net follows from gross and tare."""
    values: dict[str, Any] = {
        "id": "station-1_WB-1_1605160889392",
        "terminal_serial": "T1",
        "terminal_restart": 1,
        "timestamp": BASE,
        "scale_serial": "WB-1",
        "status": "ok",
        "gross": 17_000_000,
        "tare": 6_680_000,
        "vehicle": "BH-59-VJ",
        "cells": tuple(CellWeight(serial=f"LC-{i}", weight=4_000_000 + i) for i in range(4)),
    } | changes
    values.setdefault("net", values["gross"] - values["tare"])
    return Ticket(**values)


def ticket_id(kind: int, scale: str, timestamp: int, number: int) -> str:
    """An id as a SmartBox makes it, or one that the packing cannot derive from the time."""
    name = "".join(character for character in scale if character.isalnum())
    forms = (
        f"n{number}_{name}_{timestamp}",
        f"{number}x",
        f"Z{'.~-_' * 20}{number:011d}",
        f"{number}-{timestamp + 1}",
        f"{'p' * (95 - len(str(timestamp)) - len(str(number)))}{number}-{timestamp}",
    )
    return forms[kind % len(forms)]


def random_ticket(source: random.Random, number: int, timestamp: int | None = None) -> Ticket:
    """The number-th ticket; its id differs from every other number's."""
    gross, tare = source.choice(WEIGHTS), source.choice(WEIGHTS)
    if timestamp is None:
        timestamp = min(MAX_TIMESTAMP_MS, source.choice(TIMES) + source.choice((0, 0, 1, 299)))
    scale = source.choice(SCALES)
    count = source.choice((1, 2, 4, 4, 8, 9, MAX_CELLS))
    return Ticket(
        id=ticket_id(source.randrange(5), scale, timestamp, number),
        terminal_serial=source.choice(TERMINALS),
        terminal_restart=source.choice((0, 1, MAX_RESTART)),
        timestamp=timestamp,
        scale_serial=scale,
        status=source.choice(STATUSES),
        gross=gross,
        tare=tare,
        net=gross - tare,
        vehicle=source.choice(VEHICLES),
        cells=tuple(
            CellWeight(serial=source.choice(CELLS), weight=source.choice(CELL_WEIGHTS))
            for _ in range(count)
        ),
    )


@st.composite
def tickets(draw: st.DrawFn, number: int) -> Ticket:
    """A ticket under an id of its own."""
    return random_ticket(draw(st.randoms(use_true_random=False)), number)


@st.composite
def crowds(draw: st.DrawFn, most: int = 24) -> list[Ticket]:
    """Some tickets in any order of time."""
    source = draw(st.randoms(use_true_random=False))
    return [random_ticket(source, number) for number in range(draw(st.integers(0, most)))]


def filters(ids: tuple[str, ...] = ("nobody",)) -> st.SearchStrategy[TicketFilter]:
    """Any combination of conditions, known and unknown values, crossed ranges."""

    def maybe(*values: Any) -> st.SearchStrategy[Any]:
        return st.none() | st.none() | st.sampled_from(values)

    grams = tuple({*WEIGHTS, MIN_GRAMS, -1000, -1})
    times = tuple({*TIMES, 1, BASE - 1, BASE + 300})
    return st.builds(
        TicketFilter,
        id=st.none() | st.none() | st.none() | st.sampled_from(ids),
        terminal_serial=maybe(*TERMINALS, "LC-1", "unheard-of"),
        restart_from=maybe(0, 1, 2, MAX_RESTART),
        restart_to=maybe(0, 1, 2, MAX_RESTART),
        timestamp_from=maybe(*times),
        timestamp_to=maybe(*times),
        scale_serial=maybe(*SCALES, "LC-1", "unheard-of"),
        status=maybe(*STATUSES, "unheard-of"),
        vehicle=maybe(*VEHICLES[1:], "unheard-of"),
        gross_from=maybe(*grams),
        gross_to=maybe(*grams),
        tare_from=maybe(*grams),
        tare_to=maybe(*grams),
        net_from=maybe(*grams),
        net_to=maybe(*grams),
        cell_serial=maybe(*CELLS, "unheard-of"),
        cell_weight_from=maybe(*CELL_WEIGHTS),
        cell_weight_to=maybe(*CELL_WEIGHTS),
    )
