"""A storage on a directory, and weighings for it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.recorder import Storage
from steelyard.ticket import CellWeight, Receipt, Ticket

START = 1_605_160_800_000


def weighing(number: int, time: int | None = None, sequence: int | None = None) -> Joined:
    moment = Moment("wb-1", START + number if time is None else time)
    sequence = number if sequence is None else sequence
    samples = tuple(
        Sample(cell, moment.time, sequence, Decimal(f"{number}.125")) for cell in ("C1", "C2")
    )
    return Joined(moment, samples)


def draft(joined: Joined) -> Ticket:
    grams = int(sum(sample.raw for sample in joined.samples) * 1000)
    return Ticket(
        id=f"s-1_{joined.moment.weighbridge}_{joined.moment.time}",
        terminal_serial="T1",
        terminal_restart=1,
        timestamp=joined.moment.time,
        scale_serial="WB1",
        status="ok",
        gross=grams,
        tare=0,
        net=grams,
        cells=tuple(CellWeight(serial=s.cell, weight=int(s.raw * 1000)) for s in joined.samples),
    )


def record(
    storage: Storage, number: int, details: dict[str, Any] | None = None, **changes: int
) -> str:
    joined = weighing(number, **changes)
    return storage.record(joined, draft(joined), details)


def receipt(ticket_id: str, number: int = 1) -> Receipt:
    return Receipt(ticket_id=ticket_id, transaction_hash=f"0x{number:064x}", block_number=number)


def open_storage(directory: Path, **changes: object) -> Storage:
    return Storage.open(directory, "s-1", **changes)
