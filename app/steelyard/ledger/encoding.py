"""Hashes, RLP and hexadecimal, in the forms that the Ethereum wire uses."""

import re
from typing import TypeAlias

import rlp  # type: ignore[import-untyped]  # the package ships no types
from eth_utils.crypto import keccak as _keccak

# What RLP holds: bytes, lists of it, and integers when encoding.
Rlp: TypeAlias = "bytes | int | list[Rlp]"

_MAX_DEPTH = 8  # a header's extra data has three levels, a transaction one
_SHORT = 55  # the longest content whose length fits into the first byte
_QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)", re.ASCII)


def keccak(data: bytes) -> bytes:
    """Keccak-256, Ethereum's hash."""
    return _keccak(data)


def rlp_encode(item: Rlp) -> bytes:
    """The recursive length prefix encoding (Ethereum yellow paper, appendix B)."""
    encoded: bytes = rlp.encode(item)
    return encoded


def rlp_decode(data: bytes) -> Rlp:
    """The items of an encoding, which must be the one that they have. Raises ValueError."""
    item, end = _read_item(data, 0, len(data), 0)
    if end != len(data):
        raise ValueError("something follows the encoding")
    return item


def _read_item(data: bytes, at: int, end: int, depth: int) -> tuple[Rlp, int]:
    """The item at a place, and where the next one begins."""
    if at >= end or depth > _MAX_DEPTH:
        raise ValueError("not a recursive length prefix encoding, or nested too deeply")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    start, stop = _extent(data, at, end, 0xC0 if first >= 0xC0 else 0x80)
    if first < 0xC0:
        if stop - start == 1 and data[start] < 0x80:
            raise ValueError("a single byte is its own encoding")
        return data[start:stop], stop
    items: list[Rlp] = []
    while start < stop:
        item, start = _read_item(data, start, stop, depth + 1)
        items.append(item)
    return items, stop


def _extent(data: bytes, at: int, end: int, offset: int) -> tuple[int, int]:
    """Where the content of a string or a list begins and ends."""
    length = data[at] - offset
    start = at + 1
    if length > _SHORT:
        start += length - _SHORT
        digits = data[at + 1 : start]
        length = int.from_bytes(digits, "big")
        if length <= _SHORT or digits[:1] == b"\0":
            raise ValueError("a length that has a shorter form")
    if start + length > end:
        raise ValueError("the encoding ends too early")
    return start, start + length


def to_hex(data: bytes) -> str:
    """Lower-case hexadecimal behind 0x."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """The bytes of hexadecimal behind 0x. Raises ValueError."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError("not hexadecimal behind 0x")
    data = bytes.fromhex(text[2:])
    if len(text) != 2 + 2 * len(data):  # fromhex passes over blanks
        raise ValueError("not hexadecimal behind 0x")
    return data


def to_quantity(number: int) -> str:
    """A number as JSON-RPC writes it: hexadecimal behind 0x without leading zeros."""
    return hex(number)


def from_quantity(text: str) -> int:
    """The number of a JSON-RPC quantity, in its one spelling. Raises ValueError."""
    if not isinstance(text, str) or not _QUANTITY.fullmatch(text):
        raise ValueError("not a quantity")
    return int(text, 16)
