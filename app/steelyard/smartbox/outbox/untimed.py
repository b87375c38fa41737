"""Tickets that were weighed while the SmartBox did not know the time: they wait until it does."""

import json
from dataclasses import dataclass
from typing import Any

from steelyard.smartbox.alibi.format import Record
from steelyard.smartbox.outbox.connection import OutboxConnection


@dataclass(frozen=True, slots=True)
class Untimed:
    """Such a ticket and its alibi record; its time's boot, and how long that ran then, in ms."""

    ticket: dict[str, Any]
    sequence: int
    boot: str
    uptime: int


class UntimedTickets(OutboxConnection):
    """The outbox's part for tickets whose time is not known yet. They are not sent."""

    def untimed(self) -> list[Untimed]:
        """In the order of the weighings."""
        rows = self._rows(
            "SELECT t.body, t.sequence, u.boot, u.uptime FROM untimed u "
            "JOIN tickets t ON t.id = u.ticket ORDER BY t.sequence"
        )
        return [Untimed(json.loads(body), *rest) for body, *rest in rows]

    def count_untimed(self) -> int:
        """How many there are."""
        return next(int(count) for (count,) in self._rows("SELECT count(*) FROM untimed"))

    def corrections(self) -> dict[str, dict[str, Any]]:
        """By ticket, what its correction says: see `smartbox.timing`."""
        rows = self._rows("SELECT ticket, correction FROM corrections ORDER BY sequence")
        return {ticket: json.loads(correction) for ticket, correction in rows}

    def _note_untimed(self, weighing: dict[str, Any], ticket_id: str) -> None:
        clock = weighing.get("clock")
        if isinstance(clock, dict):
            self._connection.execute(
                "INSERT INTO untimed VALUES (?, ?, ?)", (ticket_id, clock["boot"], clock["uptime"])
            )

    def _correct(self, record: Record) -> None:
        """Take over a correction from its alibi record: the ticket goes as it says there."""
        ticket, head = record.body["ticket"], record.head
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO corrections VALUES (?, ?, ?, ?, ?)",
                (
                    head.sequence,
                    head.offset,
                    head.hash,
                    ticket["ticketID"],
                    json.dumps(record.body["correction"]),
                ),
            )
            connection.execute(
                "UPDATE tickets SET body = ? WHERE id = ? AND state = 'queued'",
                (
                    json.dumps(ticket, ensure_ascii=False, separators=(",", ":")),
                    ticket["ticketID"],
                ),
            )
            connection.execute("DELETE FROM untimed WHERE ticket = ?", (ticket["ticketID"],))
