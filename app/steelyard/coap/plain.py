"""The ordinary request of a load cell: a confirmable POST, read and answered by itself.

A cell sends ten and more of these a second, each like the last one. What is anything else is left
to aiocoap: other methods and types, blocks, proxies, options that are not known here, and what is
malformed. Numbers in brackets are sections of RFC 7252.
"""

from typing import NamedTuple

from aiocoap import ACK, POST, Message

_VERSION_1_CONFIRMABLE = 0b0100
_MAX_TOKEN = 8
_PAYLOAD_MARKER = 0xFF
_URI_HOST, _URI_PORT, _URI_PATH, _CONTENT_FORMAT, _URI_QUERY = 3, 7, 11, 12, 15
_UNSIGNED = frozenset({_URI_PORT, _CONTENT_FORMAT})
_LONGEST_UNSIGNED = 2
# In an option's first byte (3.1): one more byte follows, or something longer.
_ONE_MORE, _LONGER = 13, 14


class PlainPost(NamedTuple):
    """A confirmable POST. The host and port in it say no more than where it came."""

    message_id: int
    token: bytes
    path: tuple[str, ...]
    queries: tuple[str, ...]
    content_format: int | None
    payload: bytes


def read_plain_post(data: bytes) -> PlainPost | None:
    """Read a message; None for one that aiocoap must look at."""
    if len(data) < 4 or data[0] >> 4 != _VERSION_1_CONFIRMABLE or data[1] != POST:
        return None
    options = 4 + (data[0] & 0x0F)
    if options > min(len(data), 4 + _MAX_TOKEN):
        return None
    try:
        return _read_from(data, options)
    except (IndexError, UnicodeDecodeError):
        return None


def _read_from(data: bytes, place: int) -> PlainPost | None:
    message_id, token = data[2] << 8 | data[3], data[4:place]
    path: list[str] = []
    queries: list[str] = []
    once: dict[int, int] = {}
    number, end = 0, len(data)
    while place < end and data[place] != _PAYLOAD_MARKER:
        delta, length = data[place] >> 4, data[place] & 0x0F
        if delta >= _ONE_MORE or length >= _LONGER:
            return None
        place += 1
        if length == _ONE_MORE:
            length += data[place]
            place += 1
        number += delta
        value = data[place : place + length]
        place += length
        if number == _URI_PATH:
            path.append(value.decode())
        elif number == _URI_QUERY:
            queries.append(value.decode())
        elif number in once:
            return None
        elif number == _URI_HOST:
            once[number] = len(value.decode())  # UTF-8, or aiocoap says what is wrong
        elif number in _UNSIGNED and length <= _LONGEST_UNSIGNED:
            once[number] = int.from_bytes(value, "big")
        else:
            return None
    if place > end or place == end - 1:  # an option that is cut off; a marker without a payload
        return None
    payload = data[place + 1 :]
    return PlainPost(
        message_id, token, tuple(path), tuple(queries), once.get(_CONTENT_FORMAT), payload
    )


def answer_to(post: PlainPost, answer: Message) -> bytes:
    """The answer in the acknowledgement (5.2.1)."""
    answer.mtype, answer.mid, answer.token = ACK, post.message_id, post.token
    encoded: bytes = answer.encode()
    return encoded
