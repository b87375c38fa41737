"""The alibi memory's file format, and reading it with suspicion.

A file is a header and records, each bound to the one before:

    header   "STEELYARD-ALIBI-1\\n", length (4 bytes), JSON {"station", "made", "nonce"} and in a
             file that goes on with another one {"before": {"sequence", "hash"}}, SHA-256
    record   body length (4), sequence (8), hash before (32), body (canonical JSON), SHA-256 (32)

Integers are big-endian; a hash covers everything of its header or record before it; the first
record's "hash before" is the header's. Sequences start at 1, and go on from file to file.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from steelyard.json_text import read_json
from steelyard.smartbox.errors import AlibiDamaged

MAGIC = b"STEELYARD-ALIBI-1\n"
MAX_BODY_BYTES = 65_536
HASH_BYTES = 32
_LENGTH = struct.Struct(">I")
_FRAME = struct.Struct(">IQ32s")
MAX_RECORD_BYTES = _FRAME.size + MAX_BODY_BYTES + HASH_BYTES


@dataclass(frozen=True, slots=True)
class Head:
    """A place between two records: how many precede it, their last hash, the file offset."""

    sequence: int
    hash: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record and the place right behind it."""

    body: dict[str, Any]
    head: Head

    @property
    def sequence(self) -> int:
        return self.head.sequence

    def as_json(self) -> dict[str, Any]:
        """As it is shown: its number, its hash and what stands in it."""
        return {"sequence": self.sequence, "hash": self.head.hash.hex(), **self.body}


@dataclass(frozen=True, slots=True)
class TornTail:
    """What a power cut left of the last record: nothing of it had been told to anyone."""

    head: Head
    length: int


def canonical(value: object) -> bytes:
    """JSON with sorted keys and without blanks, in UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def make_header(station: str, made: int, before: Head | None = None) -> bytes:
    """A new file's header; the nonce makes two files of one station differ.

    `before` is the last record of the file that it goes on with.
    """
    header: dict[str, Any] = {"station": station, "made": made, "nonce": os.urandom(16).hex()}
    if before is not None:
        header["before"] = {"sequence": before.sequence, "hash": before.hash.hex()}
    return header_bytes(header)


def header_bytes(header: dict[str, Any]) -> bytes:
    """A header's bytes, its hash at their end."""
    body = canonical(header)
    start = MAGIC + _LENGTH.pack(len(body)) + body
    return start + hashlib.sha256(start).digest()


def before_of(header: dict[str, Any]) -> Head:
    """The last record of the file before, as a header names it; the offset says nothing.

    Raises AlibiDamaged.
    """
    before = header.get("before")
    if before is None:
        return Head(0, b"", 0)
    try:
        sequence, digest = before["sequence"], bytes.fromhex(before["hash"])
    except (TypeError, KeyError, ValueError):
        sequence, digest = 0, b""
    if type(sequence) is not int or sequence < 1 or len(digest) != HASH_BYTES:
        raise AlibiDamaged("the header does not name the record before it")
    return Head(sequence, digest, 0)


def make_record(head: Head, body: dict[str, Any]) -> tuple[bytes, Head]:
    """The bytes of the record that follows `head`, and the head behind it."""
    encoded = canonical(body)
    if len(encoded) > MAX_BODY_BYTES:
        raise ValueError(f"a record has at most {MAX_BODY_BYTES} bytes")
    start = _FRAME.pack(len(encoded), head.sequence + 1, head.hash) + encoded
    digest = hashlib.sha256(start).digest()
    data = start + digest
    return data, Head(head.sequence + 1, digest, head.offset + len(data))


def read_header(stream: BinaryIO) -> tuple[dict[str, Any], Head]:
    """The header's JSON and the place of the first record. Raises AlibiDamaged."""
    stream.seek(0)
    start = stream.read(len(MAGIC) + _LENGTH.size)
    if not start.startswith(MAGIC) or len(start) != len(MAGIC) + _LENGTH.size:
        raise AlibiDamaged("the header is not that of an alibi memory")
    (length,) = _LENGTH.unpack(start[len(MAGIC) :])
    body = stream.read(min(length, MAX_BODY_BYTES))
    digest = stream.read(HASH_BYTES)
    if hashlib.sha256(start + body).digest() != digest:
        raise AlibiDamaged("the header was altered")
    header = _read_object(body, "the header")
    end = len(start) + length + HASH_BYTES
    return header, Head(before_of(header).sequence, digest, end)


def read_records(stream: BinaryIO, head: Head) -> Iterator[Record | TornTail]:
    """The records behind `head`, each checked; at the end perhaps a torn tail.

    Raises AlibiDamaged with the number of the first record that is not as it was written.
    """
    size = stream.seek(0, os.SEEK_END)
    while head.offset < size:
        stream.seek(head.offset)
        data = stream.read(min(size - head.offset, MAX_RECORD_BYTES))
        found = _read_record(data, head, is_tail=head.offset + len(data) == size)
        yield found
        if isinstance(found, TornTail):
            return
        head = found.head


def _read_record(data: bytes, head: Head, *, is_tail: bool) -> Record | TornTail:
    number = head.sequence + 1
    torn = TornTail(head, len(data))
    # Some file systems extend the file first: what was not written reads as zeros.
    if is_tail and len(data.rstrip(b"\0")) < _FRAME.size:
        return torn
    length, sequence, before = _FRAME.unpack_from(data)
    if sequence != number:
        raise AlibiDamaged(f"record {number}: has the number {sequence}: altered or moved")
    if before != head.hash:
        raise AlibiDamaged(f"record {number}: does not follow the record before it")
    if length > MAX_BODY_BYTES:
        raise AlibiDamaged(f"record {number}: its length was altered")
    end = _FRAME.size + length + HASH_BYTES
    if len(data) < end:
        if not is_tail or _holds_a_record(data):
            raise AlibiDamaged(f"record {number}: its length was altered")
        return torn
    digest = data[end - HASH_BYTES : end]
    if hashlib.sha256(data[: end - HASH_BYTES]).digest() != digest:
        if is_tail and len(data) == end and not any(digest):
            return torn
        raise AlibiDamaged(f"record {number}: was altered")
    body = _read_object(data[_FRAME.size : end - HASH_BYTES], f"record {number}")
    return Record(body, Head(number, digest, head.offset + end))


def _read_object(body: bytes, what: str) -> dict[str, Any]:
    """A JSON object whose hash holds: whoever computed the chain anew may have written anything."""
    try:
        value = read_json(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AlibiDamaged(f"{what}: is not a JSON object")
    return value


def _holds_a_record(data: bytes) -> bool:
    """Whether these bytes are whole records whose first length field alone was altered.

    Only a body's end, a closing brace, can stand before the hash, so few places are tried.
    """
    place = data.find(b"}", _FRAME.size)
    while place != -1 and place + 1 + HASH_BYTES <= len(data):
        end = place + 1
        start = _LENGTH.pack(end - _FRAME.size) + data[_LENGTH.size : end]
        if hashlib.sha256(start).digest() == data[end : end + HASH_BYTES]:
            return True
        place = data.find(b"}", end)
    return False


def open_for_reading(path: Path) -> BinaryIO:
    """Open an alibi memory. Raises AlibiDamaged when it cannot be read."""
    try:
        return path.open("rb")
    except OSError as error:
        raise AlibiDamaged(f"{path}: cannot be read: {error.strerror}") from None
