"""The ABI encoding of one ticket, written at its fixed places.

eth_abi gives the same bytes (tests/ledger/test_packing.py) in twenty times the time; a platform
that registers and compares thousands of tickets a second spends it on these alone. Source: Solidity
ABI specification, "Formal specification of the encoding".
"""

from steelyard.ticket import Ticket

_WORD = 32
_MEMBERS = 11  # of the struct Ticket, each a word in its head
_SELF = _WORD.to_bytes(_WORD, "big")  # where the single dynamic argument begins
_ID_AT = (_WORD * _MEMBERS).to_bytes(_WORD, "big")


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
