"""What figures are made of: percentiles, rates, sizes of directories, tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_BLOCK = 512  # bytes of a unit of st_blocks, whatever the file system's own (stat(2))


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of the values that at least `percent` of a hundred do not exceed (nearest rank).

    It is always one of the values: with fewer than 100 of them the 99th is the greatest.
    """
    if not values:
        raise ValueError("there is no percentile of nothing")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a repeated measurement spread, in seconds."""

    count: int
    least: float
    p50: float
    p95: float
    p99: float
    greatest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Raises ValueError for no measurement."""
        return cls(
            count=len(seconds),
            least=percentile(seconds, 0),
            p50=percentile(seconds, 50),
            p95=percentile(seconds, 95),
            p99=percentile(seconds, 99),
            greatest=percentile(seconds, 100),
        )


@dataclass(slots=True)
class Rate:
    """Tickets and the seconds that they took, in one or several rounds."""

    rounds: list[tuple[int, float]] = field(default_factory=list)

    def add(self, tickets: int, seconds: float) -> None:
        """One more round."""
        self.rounds.append((tickets, seconds))

    @property
    def tickets(self) -> int:
        """All rounds together."""
        return sum(tickets for tickets, _ in self.rounds)

    @property
    def seconds(self) -> float:
        """All rounds together."""
        return sum(seconds for _, seconds in self.rounds)

    @property
    def per_second(self) -> float:
        """Tickets a second, over all rounds; 0 when nothing was measured."""
        return self.tickets / self.seconds if self.seconds else 0.0

    @property
    def by_round(self) -> list[float]:
        """Tickets a second of each round."""
        return [tickets / seconds for tickets, seconds in self.rounds]

    def as_dict(self) -> dict[str, Any]:
        """For a program: the whole, and what each round gave."""
        return {
            "tickets": self.tickets,
            "seconds": self.seconds,
            "per_second": self.per_second,
            "per_second_by_round": self.by_round,
        }


def directory_bytes(directory: Path) -> int:
    """What the files below a directory occupy, in bytes: whole blocks, as `du` counts.

    Files that vanish meanwhile are nothing: a database rewrites its own while it is looked at.
    """
    total = 0
    for path in directory.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        total += found.st_blocks * _BLOCK
    return total


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns, the first to the left and the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in [lines[0], rule, *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"
