"""Verifying an alibi memory: by itself, against the outbox, and against heads on the ledger."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.json_text import read_json
from steelyard.smartbox.alibi.export import read_any
from steelyard.smartbox.alibi.format import Record, TornTail
from steelyard.smartbox.errors import AlibiDamaged, HeadsUnusable
from steelyard.smartbox.outbox.outbox import Outbox

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an alibi memory is as it was written; one sentence; the record that is not."""

    holds: bool
    sentence: str
    records: int
    record: int | None = None


@dataclass(frozen=True, slots=True)
class SealedHead:
    """A record's number and hash, as a transaction on the ledger has them."""

    sequence: int
    hash: bytes
    transaction: str


def verify_alibi(path: Path, outbox_path: Path | None = None) -> Finding:
    """Check every record that is kept, and with an outbox that none it knows is missing or another.

    The hash chain alone cannot tell that whole records were cut off at the end, nor that all of
    it was computed anew: the outbox's hashes can. Raises StorageUnavailable for a bad outbox.
    """
    known = _KnownRecords(outbox_path)
    first, last = None, 0
    try:
        for found in read_any(path):
            if isinstance(found, TornTail):
                last = found.head.sequence
                return _at_the_end(path, last, found.length, known)
            first = found.sequence if first is None else first
            if not last and found.sequence > 1:
                known.begin(found.sequence)
            known.compare(found)
            last = found.sequence
    except AlibiDamaged as problem:
        return Finding(False, f"{path}: {problem.detail}", last, last + 1)
    finally:
        known.close()
    if known.rest():
        return _at_the_end(path, last, None, known)
    compared = "and the outbox agrees" if outbox_path else "not compared with an outbox"
    count = 0 if first is None else last - first + 1
    since = "" if first in (None, 1) else f" from record {first} on"
    return Finding(
        True, f"{path}: {count} records{since}, all as they were written; {compared}", count
    )


class _KnownRecords:
    """The hashes that the outbox knows, beside the records that are read."""

    def __init__(self, outbox_path: Path | None) -> None:
        self._outbox = None if outbox_path is None else Outbox.open_for_reading(outbox_path)
        self._hashes: Iterator[tuple[int, bytes]] = iter(())
        self._kept_from = 1
        if self._outbox is not None:
            self._kept_from = self._outbox.kept_from()
            self._hashes = iter(list(self._outbox.hashes()))
        self.next = next(self._hashes, None)

    def begin(self, first: int) -> None:
        """The memory begins with this record. Raises AlibiDamaged if earlier ones must be there."""
        if self._outbox is not None and first > self._kept_from:
            raise AlibiDamaged(
                f"record {self._kept_from}: is missing, the memory begins with record {first}"
            )

    def compare(self, found: Record) -> None:
        """Raises AlibiDamaged unless it is the record that the outbox knows next."""
        if self._outbox is None or found.sequence < self._kept_from or self.next is None:
            return
        if self.next != (found.sequence, found.head.hash):
            raise AlibiDamaged(f"record {found.sequence}: is not the one that the outbox knows")
        self.next = next(self._hashes, None)

    def rest(self) -> bool:
        """Whether the outbox knows more records than were read."""
        return self.next is not None

    def close(self) -> None:
        if self._outbox is not None:
            self._outbox.close()


def _at_the_end(path: Path, good: int, torn: int | None, known: _KnownRecords) -> Finding:
    if known.next is not None:
        sentence = f"record {known.next[0]}: is cut off, but the outbox knows it"
    else:
        sentence = (
            f"record {good + 1}: is not complete, {torn or 0} bytes; the outbox does not know it: "
            "it is being written, or a power cut tore it (the next start of the SmartBox removes "
            "it)"
        )
    return Finding(False, f"{path}: {sentence}", good, good + 1)


def read_heads(path: Path) -> list[SealedHead]:
    """The heads that `steelyard export-check --alibi-heads` wrote. Raises HeadsUnusable."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise HeadsUnusable(f"{path}: cannot be read: {error.strerror}") from None
    return [_read_head(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _read_head(path: Path, number: int, line: bytes) -> SealedHead:
    try:
        found: Any = read_json(line)
        sequence, digest, transaction = (
            found["sequence"],
            found["hash"],
            found["transactionHash"],
        )
    except (ValueError, KeyError, TypeError):
        sequence, digest, transaction = None, None, None
    if (
        type(sequence) is not int
        or sequence < 1
        or not isinstance(digest, str)
        or not _HASH.fullmatch(digest)
        or not isinstance(transaction, str)
    ):
        raise HeadsUnusable(
            f"{path}: line {number}: must be an object with sequence, hash and transactionHash"
        )
    return SealedHead(sequence, bytes.fromhex(digest), transaction[:66])


def compare_with_heads(path: Path, heads: list[SealedHead]) -> tuple[bool, list[str]]:
    """Whether the memory has every record that the ledger has a head of, and sentences on it.

    Raises AlibiDamaged for a memory whose records do not hold by themselves.
    """
    wanted: dict[int, list[SealedHead]] = {}
    for head in heads:
        wanted.setdefault(head.sequence, []).append(head)
    wrong: list[str] = []
    same, first, last = 0, None, 0
    for found in read_any(path):
        if isinstance(found, TornTail):
            break
        first = found.sequence if first is None else first
        last = found.sequence
        for head in wanted.pop(found.sequence, []):
            if head.hash == found.head.hash:
                same += 1
            else:
                wrong.append(
                    f"record {found.sequence}: is not the one that the transaction "
                    f"{head.transaction} seals"
                )
    gone = 0
    for sequence, left in sorted(wanted.items()):
        if first is not None and sequence < first:
            gone += len(left)
            continue
        wrong += [
            f"record {sequence}: is sealed by the transaction {head.transaction}, but the memory "
            f"ends with record {last}"
            for head in left
        ]
    summary = f"{same} heads on the ledger are as recorded, {len(wrong)} are not"
    if gone:
        summary += f"; {gone} are of records that are not kept any more"
    return not wrong, [*wrong, summary]
