"""The consortium on disk: its identity, and an append-only log of payloads and blocks.

A record is an RLP list behind a head of three big-endian words: its length, its CRC-32 and the
CRC-32 of these two. A record that the end of the file cuts off was never acknowledged and is
dropped; one that is damaged before the end is an error, because what follows it would be lost.
A block with transactions is on the disk (fsync) before anyone sees it.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from steelyard.sandbox.errors import SandboxProblem
from steelyard.sandbox.rlp import Encodable, Item, RlpError, decode, encode

_LOG = "ledger.log"
_IDENTITY = "consortium.json"
_HEAD = 12
_MAGIC = b"steelyard sandbox ledger 3\n"
RAW, HELD, BLOCK, WAITING, LOST = b"R", b"H", b"B", b"W", b"L"


class LedgerStore:
    """One directory, held by one process at a time."""

    def __init__(self, directory: Path) -> None:
        """Take the directory, making it if needed. Raises SandboxProblem."""
        self._directory = directory
        self._path = directory / _LOG
        try:
            directory.mkdir(parents=True, exist_ok=True)
            # The payloads are in clear: this is a sandbox, but not everybody's reading.
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SandboxProblem(f"{self._path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise SandboxProblem(f"{directory} is in use by another sandbox") from None

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._file)

    # -- identity ------------------------------------------------------------------------------

    def read_identity(self) -> dict[str, Any] | None:
        """What was written last, or None in a new directory. Raises SandboxProblem."""
        path = self._directory / _IDENTITY
        try:
            document = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SandboxProblem(f"{path} cannot be read: {error}") from None
        if not isinstance(document, dict):
            raise SandboxProblem(f"{path} must hold a JSON object")
        return document

    def write_identity(self, identity: dict[str, Any]) -> None:
        """Replace the identity, whole or not at all."""
        write_atomically(self._directory / _IDENTITY, identity)

    # -- log -----------------------------------------------------------------------------------

    def replay(self) -> Iterator[list[Item]]:
        """All records in order; leaves the file ready to be appended to. Raises SandboxProblem."""
        size = os.fstat(self._file).st_size
        # A file shorter than the magic is one whose making was cut off.
        if size < len(_MAGIC):
            self._begin()
            return
        with self._path.open("rb") as file:
            found = file.read(len(_MAGIC))
            if found != _MAGIC:
                what = "is not a sandbox's ledger"
                if found[:-2] == _MAGIC[:-2]:
                    what = "was written by another version of the sandbox; take another directory"
                raise SandboxProblem(f"{self._path} {what}")
            position = len(_MAGIC)
            while position < size:
                record = self._read(file.read(_HEAD), file, size - position - _HEAD, position)
                if record is None:
                    break
                yield _decode(record, self._path, position)
                position += _HEAD + len(record)
        os.ftruncate(self._file, position)
        os.lseek(self._file, position, os.SEEK_SET)

    def _begin(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        _write(self._file, _MAGIC)
        os.fsync(self._file)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _read(self, head: bytes, file: BinaryIO, left: int, position: int) -> bytes | None:
        """The record's body; None for one that the end of the file cuts off."""
        if len(head) < _HEAD:
            return None
        length, checksum, head_checksum = (
            int.from_bytes(head[at : at + 4], "big") for at in (0, 4, 8)
        )
        if zlib.crc32(head[:8]) != head_checksum:
            # After a power cut a file may have got its length, and none of its bytes.
            if not any(head) and not any(file.read()):
                return None
            raise SandboxProblem(f"{self._path} is damaged at byte {position}")
        body = file.read(length)
        if len(body) == length and zlib.crc32(body) == checksum:
            return body
        if length >= left:  # the last one: not all of its bytes were written
            return None
        raise SandboxProblem(f"{self._path} is damaged at byte {position}")

    def append(self, record: Sequence[Encodable], *, durably: bool = False) -> None:
        """Add a record, and bring everything written so far to the disk if asked."""
        body = encode(record)
        head = len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big")
        _write(self._file, head + zlib.crc32(head).to_bytes(4, "big") + body)
        if durably:
            os.fsync(self._file)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _decode(body: bytes, path: Path, position: int) -> list[Item]:
    try:
        record = decode(body)
    except RlpError:
        record = b""
    if not isinstance(record, list) or not record:
        raise SandboxProblem(f"{path} has an unreadable record at byte {position}")
    return record


def write_atomically(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old or the new one. Raises SandboxProblem."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SandboxProblem(f"{path} cannot be written: {error.strerror}") from None
