"""The files of an alibi memory: one after the other, each bound to the one before.

The first has the memory's own name (`alibi.memory`), each later one the number of its first record
in its name (`alibi-000000004201.memory`). A header names the last record of the file before, and
the file's first record is bound to the header: so the chain goes through all of them.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.smartbox.alibi.format import (
    Head,
    Record,
    TornTail,
    before_of,
    open_for_reading,
    read_header,
    read_records,
)
from steelyard.smartbox.errors import AlibiDamaged

_DIGITS = 12
DRAFT = ".new"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file. `before` is the last record of the file before it; `start` is behind the header.

    `made` is when the file was begun, in milliseconds since the epoch by the SmartBox's clock.
    """

    path: Path
    header: dict[str, Any]
    before: Head
    start: Head

    @property
    def first(self) -> int:
        """The number of its first record, whether that is there yet or not."""
        return self.before.sequence + 1

    @property
    def made(self) -> int:
        """See above; 0 where the header does not tell."""
        made = self.header.get("made")
        return made if isinstance(made, int) and not isinstance(made, bool) else 0


def segment_path(memory: Path, first: int) -> Path:
    """The file that begins with a record, of the memory with this name."""
    if first == 1:
        return memory
    return memory.with_name(f"{memory.stem}-{first:0{_DIGITS}}{memory.suffix}")


def segment_paths(memory: Path) -> list[Path]:
    """The files that are there, in their order."""
    pattern = f"{memory.stem}-{'[0-9]' * _DIGITS}{memory.suffix}"
    later = sorted(memory.parent.glob(pattern)) if memory.parent.is_dir() else []
    return [memory, *later] if memory.exists() or not later else later


def read_segment(path: Path) -> Segment:
    """A file's header. Raises AlibiDamaged."""
    with open_for_reading(path) as stream:
        header, start = read_header(stream)
    return Segment(path, header, before_of(header), start)


def read_segments(memory: Path) -> list[Segment]:
    """All headers, in their order; that they follow one another is for the records to show."""
    return [read_segment(path) for path in segment_paths(memory)]


def read_through(segments: list[Segment], head: Head) -> Iterator[Record | TornTail]:
    """The records behind `head`, a place in the first of these, through all of them, each checked.

    At the end of the last file there may be a torn tail. Raises AlibiDamaged with the number of the
    first record that is not as it was written.
    """
    last = head
    for number, segment in enumerate(segments):
        if number:
            _check_joint(segment, last)
            head = segment.start
        with ExitStack() as stack:
            stream = stack.enter_context(open_for_reading(segment.path))
            for found in read_records(stream, head):
                if isinstance(found, TornTail) and segment is not segments[-1]:
                    raise AlibiDamaged(
                        f"record {found.head.sequence + 1}: is not complete, and later ones follow"
                    )
                yield found
                if isinstance(found, Record):
                    last = found.head


def _check_joint(segment: Segment, last: Head) -> None:
    before = segment.before
    if before.sequence != last.sequence:
        raise AlibiDamaged(
            f"record {last.sequence + 1}: is missing: {segment.path.name} goes on with record "
            f"{segment.first}"
        )
    if before.hash != last.hash:
        raise AlibiDamaged(
            f"record {segment.first}: {segment.path.name} does not follow the file before it"
        )
