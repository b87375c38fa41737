"""Tickets for tests, made up or drawn by hypothesis, and waiting for what others do."""

import asyncio
import string
from collections.abc import Callable
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
)

START = 1_605_160_889_392


def ticket(number: int = 1, **changes: Any) -> Ticket:
    """A plausible ticket; the number makes its id and its time."""
    members: dict[str, Any] = {
        "id": f"station-1_bridge-1_{START + number}",
        "terminal_serial": "T-100",
        "terminal_restart": 3,
        "timestamp": START + 1000 * number,
        "scale_serial": "bridge-1",
        "status": "stable",
        "gross": 40_000_000 + number,
        "tare": 15_000_000,
        "net": 25_000_000 + number,
        "vehicle": "46-ÁB-12",
        "cells": tuple(CellWeight(serial=f"cell-{at}", weight=10_000_000 + at) for at in range(4)),
    }
    return Ticket(**members | changes)


def tickets(count: int, prefix: str = "t") -> list[Ticket]:
    """Tickets with different ids and times."""
    return [ticket(number, id=f"{prefix}-{number}") for number in range(count)]


_ALNUM = string.ascii_letters + string.digits
_PRINTABLE = string.digits + string.ascii_letters + string.punctuation
ids = st.builds(str.__add__, st.sampled_from(_ALNUM), st.text(_ALNUM + "._~-", max_size=95))
serials = st.text(_PRINTABLE + " ", min_size=1, max_size=32).map(str.strip).filter(bool)
statuses = st.sampled_from(["stable", "unstable", "x", "abc-def-1234"])
grams = st.integers(MIN_GRAMS, MAX_GRAMS)
vehicles = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=32).filter(
    lambda text: text.isprintable() and len(text.encode()) <= 32
)


full_sets = grams.map(
    lambda weight: [CellWeight(serial=f"cell {at}", weight=weight) for at in range(MAX_CELLS)]
)


@st.composite
def drawn_tickets(draw: st.DrawFn) -> Ticket:
    """Any ticket that the model allows."""
    gross = draw(st.integers(0, MAX_GRAMS))
    tare = draw(st.integers(0, MAX_GRAMS))
    cells = st.tuples(serials, grams).map(lambda pair: CellWeight(serial=pair[0], weight=pair[1]))
    return Ticket(
        id=draw(ids),
        terminal_serial=draw(serials),
        terminal_restart=draw(st.integers(0, MAX_RESTART)),
        timestamp=draw(st.integers(0, MAX_TIMESTAMP_MS)),
        scale_serial=draw(serials),
        status=draw(statuses),
        gross=gross,
        tare=tare,
        net=gross - tare,
        vehicle=draw(st.none() | vehicles),
        cells=tuple(draw(st.lists(cells, min_size=1, max_size=4) | full_sets)),
    )


async def until(condition: Callable[[], object]) -> None:
    """Let others go on until the condition holds."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("what was waited for did not come")
