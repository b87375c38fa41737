"""The ABI encoding of tickets, written and read at its fixed places.

eth_abi gives the same (tests/ledger/test_ticket_abi.py) in many times the time, which a platform
that registers thousands of tickets a second, and answers with pages of hundreds, spends on these
alone.
Source: Solidity ABI specification, "Formal specification of the encoding".
"""

from steelyard.ledger.protocol import Entry, Page
from steelyard.ticket import MAX_CELLS, MAX_TIMESTAMP_MS, CellWeight, Ticket

_WORD = 32
_MEMBERS = 11  # of the struct Ticket, each a word in its head
_HEAD = _WORD * _MEMBERS
_ENTRY_HEAD = 3 * _WORD  # where the ticket begins, the index, the block
_UINT64 = 1 << 64
_SELF = _WORD.to_bytes(_WORD, "big")  # where the single dynamic argument begins
_ID_AT = _HEAD.to_bytes(_WORD, "big")


def encode_ticket(ticket: Ticket) -> bytes:
    """abi.encode(ticket), which is also what follows the selector of `register`.

    Raises OverflowError or ValueError for members that the struct cannot hold.
    """
    name = ticket.id.encode()
    room = -(-len(name) // _WORD) * _WORD
    parts = [
        _SELF,
        _ID_AT,
        text_word(ticket.terminal_serial),
        ticket.terminal_restart.to_bytes(_WORD, "big"),
        ticket.timestamp.to_bytes(_WORD, "big"),
        text_word(ticket.scale_serial),
        text_word(ticket.status),
        _signed(ticket.gross),
        _signed(ticket.tare),
        _signed(ticket.net),
        text_word(ticket.vehicle),
        (_WORD * (_MEMBERS + 1) + room).to_bytes(_WORD, "big"),
        len(name).to_bytes(_WORD, "big"),
        name.ljust(room, b"\0"),
        len(ticket.cells).to_bytes(_WORD, "big"),
    ]
    for cell in ticket.cells:
        parts += text_word(cell.serial), _signed(cell.weight)
    return b"".join(parts)


def text_word(text: str | None) -> bytes:
    """A text as the contract takes it: UTF-8, left-aligned, padded with zeros; zero for none.

    Raises ValueError for one of more than 32 bytes.
    """
    word = (text or "").encode()
    if len(word) > _WORD:
        raise ValueError(f"{text!r} is longer than {_WORD} bytes")
    return word.ljust(_WORD, b"\0")


def _signed(number: int) -> bytes:
    return number.to_bytes(_WORD, "big", signed=True)


def read_page(data: bytes, most: int) -> Page | None:
    """What `query` returned, or None where it is not written as the compiled contract writes it.

    More entries than `most` are not a page either. Entries follow one another without a gap, and
    every ticket is encoded again and compared: nothing is read that does not stand there, and
    nothing twice, so that an answer costs no more to read than its length.
    """
    try:
        start, following, count = (_number(data, at) for at in (0, _WORD, 2 * _WORD))
        if start != 2 * _WORD or count > most:
            return None
        base = 3 * _WORD
        place = base + _WORD * count
        entries = []
        for at in range(count):
            if base + _number(data, base + _WORD * at) != place:
                return None
            entry, place = _read_entry(data, place)
            entries.append(entry)
    except (ValueError, OverflowError):  # a text that is no UTF-8 is one of the former
        return None
    return Page(tuple(entries), following) if place == len(data) else None


def _read_entry(data: bytes, at: int) -> tuple[Entry, int]:
    """An entry, and where the next one begins."""
    index, block_number = _number(data, at + _WORD), _number(data, at + 2 * _WORD)
    if _number(data, at) != _ENTRY_HEAD or index >= _UINT64 or block_number >= _UINT64:
        raise ValueError("not an entry")
    ticket, end = _read_ticket(data, at + _ENTRY_HEAD)
    return Entry(ticket, index, block_number), end


def _read_ticket(data: bytes, at: int) -> tuple[Ticket, int]:
    words = [data[place : place + _WORD] for place in range(at, at + _HEAD, _WORD)]
    id_at, cells_at = at + _HEAD, at + int.from_bytes(words[10], "big")
    length, count = _number(data, id_at), _number(data, cells_at)
    first = cells_at + _WORD
    if length > len(data) or count > MAX_CELLS:
        raise ValueError("not a ticket")
    cells = range(first, first + 2 * _WORD * count, 2 * _WORD)
    ticket = Ticket.model_construct(
        id=data[id_at + _WORD : id_at + _WORD + length].decode(),
        terminal_serial=_text(words[1]),
        terminal_restart=int.from_bytes(words[2], "big"),
        timestamp=int.from_bytes(words[3], "big"),
        scale_serial=_text(words[4]),
        status=_text(words[5]),
        gross=int.from_bytes(words[6], "big", signed=True),
        tare=int.from_bytes(words[7], "big", signed=True),
        net=int.from_bytes(words[8], "big", signed=True),
        vehicle=_text(words[9]) or None,
        cells=tuple(
            [
                CellWeight.model_construct(
                    serial=_text(data[cell : cell + _WORD]),
                    weight=int.from_bytes(
                        data[cell + _WORD : cell + 2 * _WORD], "big", signed=True
                    ),
                )
                for cell in cells
            ]
        ),
    )
    written = encode_ticket(ticket)
    if data[at : at + len(written) - _WORD] != written[_WORD:] or not _in_bounds(ticket):
        raise ValueError("not a ticket as the contract writes it")
    return ticket, at + len(written) - _WORD


def _in_bounds(ticket: Ticket) -> bool:
    """Whether the numbers are of the struct's types, and the time one that a date can say."""
    signed = (ticket.gross, ticket.tare, ticket.net, *(cell.weight for cell in ticket.cells))
    return (
        ticket.terminal_restart < 1 << 32
        and ticket.timestamp <= MAX_TIMESTAMP_MS
        and all(-(1 << 63) <= number < 1 << 63 for number in signed)
    )


def _number(data: bytes, at: int) -> int:
    word = data[at : at + _WORD]
    if len(word) != _WORD:
        raise ValueError("the data ends too early")
    return int.from_bytes(word, "big")


def _text(word: bytes) -> str:
    return word.rstrip(b"\0").decode()
