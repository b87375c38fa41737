"""An export's file: lines of JSON, plain or in gzip members, that can be cut and gone on with.

A gzip file is a row of members, each of whole groups of lines (a block and what follows it), so
that a file torn by a crash loses its last member only (RFC 1952, section 2.2).
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from steelyard.ledger.errors import ExportDamaged

MAX_LINE = 64 * 2**20  # bytes; the longest real line is a payload of 200 full tickets, 1.2 MB
_MEMBER = 2**20  # bytes of text in a gzip member, about
_CHUNK = 2**16
_GZIP = zlib.MAX_WBITS | 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. The file may be cut at `cut`, just before it, if that is given."""

    number: int
    text: bytes
    cut: int | None


def encode_line(record: dict[str, Any]) -> bytes:
    """The one spelling of a record, with the line's end."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def is_gzip(path: Path) -> bool:
    """Whether a name asks for compression."""
    return path.suffix == ".gz"


class Sink:
    """Appends groups of lines to a file, from `start` on; what was behind is cut off."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self._file: IO[bytes] = path.open("r+b" if start else "wb")
        self._file.truncate(start)
        self._file.seek(start)
        self._compressed = is_gzip(path)
        self._waiting = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # What is complete is kept also when the export is interrupted: it can go on from there.
        with suppress(OSError) if error else nullcontext():
            self.flush()
        self._file.close()

    def write(self, group: bytes) -> None:
        """Take lines that belong together."""
        self._waiting += group
        if len(self._waiting) >= _MEMBER:
            self.flush()

    def flush(self) -> None:
        """Bring what was taken to the disk, as a gzip member of its own where it is one."""
        if self._waiting:
            text = bytes(self._waiting)
            self._file.write(gzip.compress(text, 6, mtime=0) if self._compressed else text)
            self._waiting.clear()
        self._file.flush()
        os.fsync(self._file.fileno())


def read_lines(path: Path, *, torn: bool = False) -> Iterator[Line]:
    """The lines of a file. `torn` allows that it ends within a line or a gzip member.

    Raises ExportDamaged, and OSError.
    """
    with path.open("rb") as file:
        yield from _lines(path, _gzip_chunks(file) if is_gzip(path) else _plain(file), torn=torn)


@dataclass(slots=True)
class _Text:
    """A piece of the text; `start` is where its gzip member begins, if it is the first of it."""

    text: bytes
    start: int | None = None
    plain: bool = False


def _plain(file: IO[bytes]) -> Iterator[_Text]:
    while text := file.read(_CHUNK):
        yield _Text(text, plain=True)


def _gzip_chunks(file: IO[bytes]) -> Iterator[_Text]:
    """The text of every member; the member's place comes with its first piece."""
    held, place = b"", 0  # what was read and not taken yet, and where it begins
    while held or (held := file.read(_CHUNK)):
        member, start = zlib.decompressobj(_GZIP), place
        first: int | None = start
        while not member.eof:
            if not held and not (held := file.read(_CHUNK)):
                raise EOFError
            before = len(held)
            text = member.decompress(held, _CHUNK)
            held = member.unused_data if member.eof else member.unconsumed_tail
            place += before - len(held)
            if text:
                yield _Text(text, first)
                first = None


def _lines(path: Path, pieces: Iterator[_Text], *, torn: bool) -> Iterator[Line]:
    number, place, cut, rest = 0, 0, None, b""
    try:
        for piece in pieces:
            if piece.start is not None:
                cut = piece.start
            *complete, last = piece.text.split(b"\n")
            for text in complete:
                number += 1
                line, rest = rest + text, b""
                yield Line(number, line, place if piece.plain else cut)
                place += len(line) + 1
                cut = None
            rest += last
            if len(rest) > MAX_LINE:
                raise ExportDamaged(f"{path}: line {number + 1} is too long for an export")
    except (EOFError, zlib.error):
        if not torn:
            raise ExportDamaged(f"{path}: the compressed data ends or breaks off") from None
        return
    if rest and not torn:
        raise ExportDamaged(f"{path}: line {number + 1} has no end")
