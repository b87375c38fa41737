"""Recursive length prefix: the yellow paper's appendix B. Errors carry geth's words."""

from collections.abc import Sequence
from typing import Union

Item = Union[bytes, list["Item"]]  # noqa: UP007 - a recursive alias cannot use | with a string
Encodable = Union[bytes, int, Sequence["Encodable"]]  # noqa: UP007 - likewise
_MAX_DEPTH = 8


class RlpError(ValueError):
    """What cannot be read, in geth's words."""


def encode(value: Encodable) -> bytes:
    """Encode bytes, non-negative integers (big-endian, no leading zeros) and sequences of these."""
    if isinstance(value, int):
        value = value.to_bytes((value.bit_length() + 7) // 8, "big")
    if isinstance(value, bytes):
        if len(value) == 1 and value[0] < 0x80:
            return value
        return _head(0x80, len(value)) + value
    body = b"".join([encode(each) for each in value])
    return _head(0xC0, len(body)) + body


def _head(offset: int, length: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size


def decode(data: bytes) -> Item:
    """Decode exactly one item. Raises RlpError for all that is not canonical."""
    item, end = _item(data, 0, len(data), 0)
    if end != len(data):
        raise RlpError("rlp: input contains more than one value")
    return item


def _item(data: bytes, position: int, limit: int, depth: int) -> tuple[Item, int]:
    """The item at a position and where it ends; it may not reach beyond the limit."""
    if position >= limit:
        raise RlpError("unexpected EOF")
    first = data[position]
    if first < 0x80:
        return data[position : position + 1], position + 1
    start, end = _extent(data, position, limit, 0x80 if first < 0xC0 else 0xC0)
    if first < 0xC0:
        if end - start == 1 and data[start] < 0x80:
            raise RlpError("rlp: non-canonical size information")
        return data[start:end], end
    if depth >= _MAX_DEPTH:
        raise RlpError("rlp: lists are nested too deeply")
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, end, depth + 1)
        items.append(item)
    return items, end


def _extent(data: bytes, position: int, limit: int, offset: int) -> tuple[int, int]:
    """Where the content of the item at a position starts and ends."""
    length = data[position] - offset
    start = position + 1
    if length > 55:
        width = length - 55
        size = data[start : start + width]
        if start + width > limit:
            raise RlpError("rlp: value size exceeds available input length")
        length = int.from_bytes(size, "big")
        if size[0] == 0 or length < 56:
            raise RlpError("rlp: non-canonical size information")
        start += width
    if start + length > limit:
        raise RlpError("rlp: value size exceeds available input length")
    return start, start + length
