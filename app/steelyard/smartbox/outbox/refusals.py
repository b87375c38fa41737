"""Tickets that the platform refused: set aside until someone takes them up again or dismisses them.

A dismissed ticket stays in both books and is `refused` still; it no longer asks for a person.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.smartbox.outbox.connection import OutboxConnection

MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused ticket: the platform's problem details, and the ticket.

    `dismissed` is when (milliseconds since the epoch) and why someone dismissed it.
    """

    id: str
    problem: dict[str, Any]
    ticket: dict[str, Any]
    dismissed: tuple[int, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """What is shown of it: its id, the platform's problem, the ticket, its dismissal."""
        line: dict[str, Any] = {
            "ticketID": self.id,
            "problem": self.problem,
            "ticket": self.ticket,
        }
        if self.dismissed is not None:
            time, reason = self.dismissed
            line["dismissed"] = {"time": time, "reason": reason}
        return line


class Refusals(OutboxConnection):
    """The outbox's part for refused tickets."""

    def refusals(self, *, dismissed: bool = False, most: int = -1) -> Iterator[Refusal]:
        """Refused tickets with the platform's reasons, in the order of the weighings.

        Those that are not dismissed, or those that are; the first `most` of them, -1 for all.
        """
        rows = self._rows(
            "SELECT t.id, t.problem, t.body, d.time, d.reason FROM tickets t "
            "LEFT JOIN dismissals d ON d.ticket = t.id "
            "WHERE t.state = 'refused' AND (d.ticket IS NOT NULL) = ? ORDER BY t.sequence LIMIT ?",
            (dismissed, most),
        )
        for ticket_id, problem, body, time, reason in rows:
            mark = None if time is None else (int(time), str(reason))
            yield Refusal(ticket_id, json.loads(problem), json.loads(body), mark)

    def open_refusals(self) -> int:
        """How many refused tickets nobody has dismissed."""
        rows = self._rows(
            "SELECT count(*) FROM tickets WHERE state = 'refused' "
            "AND id NOT IN (SELECT ticket FROM dismissals)"
        )
        return next(int(count) for (count,) in rows)

    def requeue(self, ids: Sequence[str]) -> int:
        """Send refused tickets again, dismissed or not; how many of these ids were refused."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM dismissals WHERE ticket = ?", [(one,) for one in ids]
            )
            return sum(
                connection.execute(
                    "UPDATE tickets SET state = 'queued', problem = NULL "
                    "WHERE id = ? AND state = 'refused'",
                    (ticket_id,),
                ).rowcount
                for ticket_id in ids
            )

    def dismiss(self, ids: Sequence[str], time: int, reason: str) -> int:
        """Note that refused tickets are settled otherwise; how many of these ids were open.

        `time` in milliseconds since the epoch, `reason` of 1 to 200 characters. Raises ValueError.
        """
        if not 1 <= len(reason) <= MAX_REASON or not reason.strip():
            raise ValueError(f"the reason must have 1 to {MAX_REASON} characters")
        with self._transaction() as connection:
            return sum(
                connection.execute(
                    "INSERT OR IGNORE INTO dismissals SELECT id, ?, ? FROM tickets "
                    "WHERE id = ? AND state = 'refused'",
                    (time, reason, ticket_id),
                ).rowcount
                for ticket_id in ids
            )
