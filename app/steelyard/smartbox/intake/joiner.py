"""Joining the cells of a weighbridge into one weighing, by the time of their samples.

A pure data structure: it knows no clock and no storage.
"""

from collections.abc import Callable, Iterable

from steelyard.smartbox.errors import SampleConflict
from steelyard.smartbox.models import Joined, Moment, Sample

CellsOf = Callable[[Moment], tuple[str, ...]]


class Joiner:
    """Holds the samples of the weighings that are not complete yet.

    `cells_of` says which cells make up a weighing, in the ticket's order.
    """

    def __init__(self, cells_of: CellsOf) -> None:
        self._cells_of = cells_of
        self._open: dict[Moment, dict[str, Sample]] = {}

    def __contains__(self, moment: Moment) -> bool:
        return moment in self._open

    def __len__(self) -> int:
        return len(self._open)

    def start(self, moment: Moment, samples: Iterable[Sample] = ()) -> None:
        """Open a weighing, with the samples that were set aside earlier."""
        self._open[moment] = {sample.cell: sample for sample in samples}

    def add(self, moment: Moment, sample: Sample) -> bool:
        """Take a sample; False when it was taken before, and nothing changes.

        Raises SampleConflict for another number or value than that cell's first one.
        """
        samples = self._open[moment]
        known = samples.setdefault(sample.cell, sample)
        if known is sample:
            return True
        if known != sample:
            raise SampleConflict(
                f"cell {sample.cell}: sample {sample.sequence} differs from sample "
                f"{known.sequence} for the same time"
            )
        return False

    def joined(self, moment: Moment) -> Joined | None:
        """The weighing, once every one of its cells has spoken."""
        samples = self._open[moment]
        expected = self._cells_of(moment)
        if not set(expected) <= set(samples):
            return None
        return Joined(moment, tuple(samples[serial] for serial in expected))

    def silent(self, moment: Moment) -> tuple[str, ...]:
        """The cells that have said nothing for this weighing."""
        return tuple(c for c in self._cells_of(moment) if c not in self._open[moment])

    def samples(self, moment: Moment) -> tuple[Sample, ...]:
        """What has come so far."""
        return tuple(self._open[moment].values())

    def close(self, moment: Moment) -> None:
        """Forget a weighing: it is a ticket, or set aside, or to be sent again."""
        self._open.pop(moment, None)
