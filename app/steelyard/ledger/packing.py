"""A batch of tickets in few bytes, as contracts/Packed.sol reads it.

What the tickets of a weighbridge share (terminal, weighbridge, status, the cells' serials, the id
up to its time) stands once a batch, as a *layout*; a ticket of four cells then takes some 50 bytes
instead of the 770 of its ABI encoding. Numbers are big-endian. Every list of tickets has one packed
form: the layouts stand in the order in which the tickets use them first.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.ticket import CellWeight, Ticket

MAX_TICKETS = 200
_BYTE = 255
_TEXT = 32  # bytes of a serial or a status, padded with zeros
_SHARED = struct.Struct(">32s32s32sBB")  # terminal, scale, status, cells, length of the prefix
# Layout, timestamp (its high and its low part), gross, tare, restart, length of the vehicle.
_HEAD = struct.Struct(">BHIIIIB")
_GROUP = 8  # weights that share a word of the contract's storage; in it the last cell comes first


@dataclass(frozen=True, slots=True)
class _Layout:
    terminal: str
    scale: str
    status: str
    prefix: str
    serials: tuple[str, ...]


def pack(tickets: Sequence[Ticket]) -> bytes:
    """The packed form of 1 to 200 tickets, each with none of the reasons of `unpackable`.

    Raises ValueError for another number of them, and for what cannot be written.
    """
    if not 1 <= len(tickets) <= MAX_TICKETS:
        raise ValueError(f"a batch has 1 to {MAX_TICKETS} tickets")
    numbers: dict[_Layout, int] = {}
    try:
        records = [_record(ticket, numbers) for ticket in tickets]
        layouts = [_layout_bytes(layout) for layout in numbers]
    except struct.error:
        raise ValueError("a number is beyond its bounds") from None
    return b"".join([bytes([len(layouts)]), *layouts, bytes([len(records)]), *records])


def unpackable(ticket: Ticket) -> str | None:
    """Why a ticket has no packed form that says all of it, or None.

    No ticket that the rules of Ticket let pass has such a reason.
    """
    return next(_reasons(ticket), None)


def _reasons(ticket: Ticket) -> Iterator[str]:
    if ticket.net != ticket.gross - ticket.tare:
        yield "net must be gross minus tare"
    if not 1 <= len(ticket.id.encode()) <= _BYTE:
        yield f"the id must have 1 to {_BYTE} bytes"
    texts = (ticket.terminal_serial, ticket.scale_serial, ticket.status, ticket.vehicle or " ")
    if ticket.vehicle == "" or not all(map(_fits, [*texts, *(c.serial for c in ticket.cells)])):
        yield f"a text must have at most {_TEXT} bytes, the last one not zero"
    if not 0 <= ticket.timestamp < 1 << 48:
        yield "the timestamp must fit into 48 bits"
    unsigned = (ticket.gross, ticket.tare, ticket.terminal_restart)
    if not all(0 <= number < 1 << 32 for number in unsigned):
        yield "gross, tare and the restart value must fit into 32 bits, without a sign"
    weights = [cell.weight for cell in ticket.cells]
    if len(weights) > _BYTE or not all(-(1 << 31) <= weight < 1 << 31 for weight in weights):
        yield f"at most {_BYTE} cells' weights must fit into 32 bits each"


def _fits(text: str) -> bool:
    return len(text.encode()) <= _TEXT and not text.endswith("\0")


def unpack(data: bytes) -> tuple[Ticket, ...]:
    """The tickets of a packed batch, not checked by the rules of Ticket.

    Raises ValueError for anything that `pack` does not give.
    """
    try:
        tickets = tuple(_tickets(data))
        canonical = pack(tickets) == data and not any(map(unpackable, tickets))
    except (struct.error, IndexError, ValueError):
        canonical = False
    if not canonical:
        raise ValueError("it is not a packed batch in its one form")
    return tickets


# -- writing


def _record(ticket: Ticket, numbers: dict[_Layout, int]) -> bytes:
    """One ticket; `numbers` learns its layout when that is new."""
    time = str(ticket.timestamp)
    derived = ticket.id.endswith(time)
    layout = _Layout(
        terminal=ticket.terminal_serial,
        scale=ticket.scale_serial,
        status=ticket.status,
        prefix=ticket.id[: -len(time)] if derived else "",
        serials=tuple([cell.serial for cell in ticket.cells]),
    )
    number = numbers.setdefault(layout, len(numbers))
    vehicle = (ticket.vehicle or "").encode()
    name = b"" if derived else ticket.id.encode()
    high, low = divmod(ticket.timestamp, 1 << 32)
    head = _HEAD.pack(
        number, high, low, ticket.gross, ticket.tare, ticket.terminal_restart, len(vehicle)
    )
    weights = _weights([cell.weight for cell in ticket.cells])
    return b"".join([head, vehicle, struct.pack(">B", len(name)), name, weights])


def _weights(grams: Sequence[int]) -> bytes:
    return struct.pack(f">{len(grams)}i", *_turned(grams))


def _turned(weights: Sequence[int]) -> list[int]:
    """In groups of 8, each the other way round: from the cells' order to the bytes', and back."""
    starts = range(0, len(weights), _GROUP)
    return [one for at in starts for one in weights[at : at + _GROUP][::-1]]


def _layout_bytes(layout: _Layout) -> bytes:
    texts = [layout.terminal, layout.scale, layout.status, *layout.serials]
    words = [text.encode() for text in texts]
    if any(len(word) > _TEXT for word in words):
        raise ValueError(f"a text is longer than {_TEXT} bytes")
    prefix = layout.prefix.encode()
    shared = _SHARED.pack(*words[:3], len(layout.serials), len(prefix))
    return b"".join([shared, prefix, *(word.ljust(_TEXT, b"\0") for word in words[3:])])


# -- reading


def _tickets(data: bytes) -> Iterator[Ticket]:
    """What stands in a batch; anything more than that is for the comparison to find."""
    layouts: list[_Layout] = []
    at = 1
    for _ in range(data[0]):
        layout, at = _read_layout(data, at)
        layouts.append(layout)
    count = data[at]
    at += 1
    for _ in range(count):
        ticket, at = _read_record(data, at, layouts)
        yield ticket


def _read_layout(data: bytes, at: int) -> tuple[_Layout, int]:
    terminal, scale, status, cells, length = _SHARED.unpack_from(data, at)
    at += _SHARED.size
    prefix = data[at : at + length].decode()
    at += length
    serials = struct.unpack_from(f"{_TEXT}s" * cells, data, at)
    layout = _Layout(
        _text(terminal), _text(scale), _text(status), prefix, tuple(map(_text, serials))
    )
    return layout, at + _TEXT * cells


def _read_record(data: bytes, at: int, layouts: Sequence[_Layout]) -> tuple[Ticket, int]:
    number, high, low, gross, tare, restart, length = _HEAD.unpack_from(data, at)
    layout = layouts[number]
    at += _HEAD.size
    vehicle = data[at : at + length].decode()
    at += length + 1
    length = data[at - 1]
    name = data[at : at + length].decode()
    at += length
    timestamp = (high << 32) + low
    count = len(layout.serials)
    weights = _turned(struct.unpack_from(f">{count}i", data, at))
    ticket = Ticket.model_construct(
        id=name or f"{layout.prefix}{timestamp}",
        terminal_serial=layout.terminal,
        terminal_restart=restart,
        timestamp=timestamp,
        scale_serial=layout.scale,
        status=layout.status,
        gross=gross,
        tare=tare,
        net=gross - tare,
        vehicle=vehicle or None,
        cells=tuple(
            CellWeight.model_construct(serial=serial, weight=weight)
            for serial, weight in zip(layout.serials, weights, strict=True)
        ),
    )
    return ticket, at + 4 * count


def _text(word: bytes) -> str:
    return word.rstrip(b"\0").decode()
