"""Weighings that are no ticket: their samples, with the reason."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from steelyard.smartbox.models import Moment, Sample
from steelyard.smartbox.outbox.connection import OutboxConnection


class SetAside(OutboxConnection):
    """The outbox's part for weighings that are set aside."""

    def set_aside(
        self, moment: Moment, samples: Iterable[Sample], reason: str, detail: str
    ) -> None:
        """Keep the samples of a weighing that is no ticket, with the reason."""
        with self._transaction() as connection:
            self._forget_set_aside(moment)
            connection.execute(
                "INSERT INTO set_aside VALUES (?, ?, ?, ?)",
                (moment.weighbridge, moment.time, reason, detail),
            )
            connection.executemany(
                "INSERT INTO set_aside_samples VALUES (?, ?, ?, ?, ?)",
                [
                    (moment.weighbridge, moment.time, s.cell, s.sequence, str(s.raw))
                    for s in samples
                ],
            )

    def _forget_set_aside(self, moment: Moment) -> None:
        for table in ("set_aside", "set_aside_samples"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE weighbridge = ? AND time = ?",  # noqa: S608 - the names stand in the line above
                (moment.weighbridge, moment.time),
            )

    def samples_set_aside(self, moment: Moment) -> tuple[Sample, ...]:
        """The samples of a weighing that was set aside."""
        rows = self._rows(
            "SELECT cell, sequence, raw FROM set_aside_samples WHERE weighbridge = ? AND time = ?",
            (moment.weighbridge, moment.time),
        )
        return tuple(Sample(cell, moment.time, number, Decimal(raw)) for cell, number, raw in rows)

    def weighings_set_aside(self) -> list[dict[str, Any]]:
        """What is set aside, oldest first: weighbridge, time, reason, detail."""
        rows = self._rows(
            "SELECT weighbridge, time, reason, detail FROM set_aside ORDER BY time, weighbridge"
        )
        names = ("weighbridge", "time", "reason", "detail")
        return [dict(zip(names, row, strict=True)) for row in rows]
