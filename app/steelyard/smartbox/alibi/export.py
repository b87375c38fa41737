"""An alibi memory as lines of JSON: for whoever has no SmartBox, and still wants to check it.

    {"header": {...}, "after": {"sequence": 0, "hash": "..."}}     where the next record begins
    {"sequence": 1, "hash": "...", "record": {...}}                each record
    {"end": {"sequence": 4200, "records": 4200}}                   the last line

A header stands before the first record and where a new file of the memory begins. Every hash can be
computed again from what stands here (`format`), so an export is verified like the memory.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from steelyard.json_text import read_json
from steelyard.smartbox.alibi.format import (
    Head,
    Record,
    TornTail,
    before_of,
    header_bytes,
    make_record,
)
from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.alibi.segments import read_segments
from steelyard.smartbox.errors import AlibiDamaged

_DIGEST = 32
_Found = TypeVar("_Found")


def export_lines(path: Path, first: int = 1, last: int | None = None) -> Iterator[str]:
    """The lines of an export of the records from `first` to `last`, without their ends.

    What comes before is read and checked as well. Raises AlibiDamaged, with nothing more to come.
    """
    segments = read_segments(path)
    starts = {segment.first: segment for segment in segments}
    place, header, written, known = segments[0].start, segments[0].header, 0, False
    number = segments[0].before.sequence
    for found in read_all(path):
        if isinstance(found, TornTail) or (last is not None and found.sequence > last):
            break
        segment = starts.get(found.sequence)
        if segment is not None:
            place, header, known = segment.start, segment.header, False
        number = found.sequence
        if number >= first:
            if not known:
                after = {"sequence": place.sequence, "hash": place.hash.hex()}
                yield _line({"header": header, "after": after})
                known = True
            line = {"sequence": number, "hash": found.head.hash.hex(), "record": found.body}
            yield _line(line)
            written += 1
        place = found.head
    yield _line({"end": {"sequence": number, "records": written}})


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read_any(path: Path) -> Iterator[Record | TornTail]:
    """The records of an alibi memory or of an export, checked. Raises AlibiDamaged."""
    return read_export(path) if is_export(path) else read_all(path)


def is_export(path: Path) -> bool:
    """Whether a file is no memory, but an export of one."""
    try:
        with path.open("rb") as stream:
            return stream.read(1) == b"{"
    except OSError:
        return False


def read_export(path: Path) -> Iterator[Record]:
    """The records of an export, each hash computed again. Raises AlibiDamaged."""
    place: Head | None = None
    last: Head | None = None
    count, ended = 0, False
    with path.open("rb") as stream:
        for number, text in enumerate(stream, 1):
            line = _read_line(number, text)
            if ended:
                raise AlibiDamaged(f"line {number}: something follows the last line")
            if set(line) == {"header", "after"}:
                place = _check(number, _place, line, last)
            elif set(line) == {"sequence", "hash", "record"}:
                record = _check(number, _record, line, place)
                yield record
                place = last = record.head
                count += 1
            else:
                end = {"sequence": last.sequence if last else 0, "records": count}
                if line.keys() != {"end"} or (count and line["end"] != end):
                    raise AlibiDamaged(f"line {number}: is none of an export's")
                ended = True
    if not ended:
        raise AlibiDamaged("the export is cut off: its last line is missing")


def export_station(path: Path) -> str:
    """The station whose alibi memory was exported. Raises AlibiDamaged."""
    with path.open("rb") as stream:
        header = _read_line(1, stream.readline()).get("header")
    station = header.get("station") if isinstance(header, dict) else None
    if not isinstance(station, str):
        raise AlibiDamaged("the export names no station")
    return station


def _read_line(number: int, text: bytes) -> dict[str, Any]:
    try:
        line = read_json(text)
    except ValueError:
        line = None
    if not isinstance(line, dict):
        raise AlibiDamaged(f"line {number}: is not a JSON object")
    return line


def _check(
    number: int,
    read: Callable[[dict[str, Any], Head | None], _Found],
    line: dict[str, Any],
    head: Head | None,
) -> _Found:
    try:
        return read(line, head)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AlibiDamaged(f"line {number}: is none of an export's") from None


def _place(line: dict[str, Any], last: Head | None) -> Head:
    """Where records go on: behind a header, or within the file that it is of."""
    header, after = line["header"], line["after"]
    digest = bytes.fromhex(after["hash"])
    before = before_of(header)
    if last is not None and (before.sequence, before.hash) != (last.sequence, last.hash):
        raise AlibiDamaged(f"record {last.sequence + 1}: does not follow the record before it")
    begins = header_bytes(header)[-_DIGEST:]
    if after["sequence"] < before.sequence or len(digest) != _DIGEST:
        raise ValueError("not a place of this file")
    if (after["sequence"] == before.sequence) != (digest == begins):
        raise AlibiDamaged("the header was altered")
    return Head(after["sequence"], digest, 0)


def _record(line: dict[str, Any], place: Head | None) -> Record:
    if place is None:
        raise ValueError("a record without a header before it")
    number, body = place.sequence + 1, line["record"]
    if line["sequence"] != number:
        raise AlibiDamaged(f"record {number}: has the number {line['sequence']}: altered or moved")
    _, head = make_record(place, body)
    if head.hash.hex() != line["hash"]:
        raise AlibiDamaged(f"record {number}: was altered")
    return Record(body, head)
