"""Verifying an alibi memory: by itself, and against the outbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from steelyard.smartbox.alibi import read_all
from steelyard.smartbox.alibi_format import Record, TornTail
from steelyard.smartbox.errors import AlibiDamaged
from steelyard.smartbox.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an alibi memory is as it was written; one sentence; the record that is not."""

    holds: bool
    sentence: str
    records: int
    record: int | None = None


def verify_alibi(path: Path, outbox_path: Path | None = None) -> Finding:
    """Check every record, and with an outbox that no record it knows is missing or another.

    The hash chain alone cannot tell that whole records were cut off at the end, nor that all of
    it was computed anew: the outbox's hashes can. Raises StorageUnavailable for a bad outbox.
    """
    hashes: Iterator[tuple[int, bytes]] = iter(())
    if outbox_path is not None:
        hashes = Outbox.open_for_reading(outbox_path).hashes()
    good = 0
    try:
        for found, known in zip_longest(read_all(path), hashes):
            if found is None or isinstance(found, TornTail):
                return _at_the_end(path, good, found, known)
            _compare(found, known)
            good = found.sequence
    except AlibiDamaged as problem:
        return Finding(False, f"{path}: {problem.detail}", good, good + 1)
    compared = "and the outbox agrees" if outbox_path else "not compared with an outbox"
    return Finding(True, f"{path}: {good} records, all as they were written; {compared}", good)


def _compare(found: Record, known: tuple[int, bytes] | None) -> None:
    if known is not None and known != (found.sequence, found.head.hash):
        raise AlibiDamaged(f"record {found.sequence}: is not the one that the outbox knows")


def _at_the_end(
    path: Path, good: int, torn: TornTail | None, known: tuple[int, bytes] | None
) -> Finding:
    if known is not None:
        sentence = f"record {known[0]}: is cut off, but the outbox knows it"
    else:
        length = torn.length if torn else 0
        sentence = (
            f"record {good + 1}: is not complete, {length} bytes; the outbox does not know it: it "
            "is being written, or a power cut tore it (the next start of the SmartBox removes it)"
        )
    return Finding(False, f"{path}: {sentence}", good, good + 1)
