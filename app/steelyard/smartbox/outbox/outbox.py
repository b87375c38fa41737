"""The outbox: every ticket, whether the platform has it, and its receipt.

SQLite with a write-ahead log and synchronous=FULL. The log is flushed at every commit, which is
one fsync where a rollback journal needs three (an SD card's life and latency), and `status`,
`receipts` and `refused` read while the SmartBox writes.

States: `queued` (never left the box), `sending` (tried at least once, the outcome is not known),
`registered` (with its receipt), `refused` (set aside with the platform's reason).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.smartbox.alibi.format import Head, Record
from steelyard.smartbox.models import FirstPass, Moment, Sample
from steelyard.smartbox.outbox.aside import SetAside
from steelyard.smartbox.outbox.refusals import Refusal, Refusals
from steelyard.smartbox.outbox.untimed import UntimedTickets
from steelyard.ticket import Receipt, parse_timestamp

__all__ = ["Outbox", "Refusal", "Waiting"]
_KEPT_FROM = "kept_from"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A ticket that the platform has not answered for, in its JSON text."""

    id: str
    body: str


class Outbox(SetAside, Refusals, UntimedTickets):
    """The open outbox. All methods block; the recorder calls them from its one thread."""

    def count_start(self) -> int:
        """Count this start of the SmartBox: the terminal's restart value."""
        with self._transaction() as connection:
            (value,) = connection.execute(
                "INSERT INTO counters VALUES ('restarts', 1) "
                "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
            ).fetchone()
        return int(value)

    def head(self) -> Head | None:
        """The alibi memory's last record that the outbox knows."""
        for row in self._rows(
            "SELECT sequence, alibi_hash, alibi_offset FROM records ORDER BY sequence DESC LIMIT 1"
        ):
            return Head(*row)
        return None

    def kept_from(self) -> int:
        """The number of the first alibi record that is kept; 1 as long as none was dropped."""
        rows = self._rows("SELECT value FROM counters WHERE name = ?", (_KEPT_FROM,))
        return next((int(value) for (value,) in rows), 1)

    def keep_from(self, sequence: int) -> None:
        """The alibi memory begins with this record: what is older and settled is forgotten."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO counters VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
                (_KEPT_FROM, sequence),
            )
            old = "(SELECT id FROM tickets WHERE sequence < ?)"
            for table in ("samples", "first_passes", "dismissals"):
                connection.execute(f"DELETE FROM {table} WHERE ticket IN {old}", (sequence,))  # noqa: S608 - the names stand in the line above
            for table in ("corrections", "tickets"):
                connection.execute(f"DELETE FROM {table} WHERE sequence < ?", (sequence,))  # noqa: S608 - as above

    def first_open(self) -> int | None:
        """The alibi record of the oldest ticket that is neither registered nor dismissed."""
        rows = self._rows(
            "SELECT min(sequence) FROM tickets WHERE state != 'registered' "
            "AND id NOT IN (SELECT ticket FROM dismissals)"
        )
        return next(None if first is None else int(first) for (first,) in rows)

    def hashes(self) -> Iterator[tuple[int, bytes]]:
        """Sequence and hash of every known record, in order."""
        yield from self._rows("SELECT sequence, alibi_hash FROM records ORDER BY sequence")

    def add(self, record: Record) -> None:
        """Queue the ticket of an alibi record; its samples are no longer set aside.

        Or take over what the record corrects of an earlier one's ticket.
        """
        if "correction" in record.body:
            self._correct(record)
            return
        ticket, samples = record.body["ticket"], record.body["samples"]
        moment = Moment(record.body["weighbridge"], record.body["time"])
        head = record.head
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO tickets (id, sequence, alibi_offset, alibi_hash, body, state) "
                "VALUES (?, ?, ?, ?, ?, 'queued')",
                (
                    ticket["ticketID"],
                    head.sequence,
                    head.offset,
                    head.hash,
                    json.dumps(ticket, ensure_ascii=False, separators=(",", ":")),
                ),
            )
            connection.executemany(
                "INSERT INTO samples VALUES (?, ?, ?, ?)",
                [(cell, time, number, ticket["ticketID"]) for cell, time, number, _ in samples],
            )
            self._forget_set_aside(moment)
            weighing = record.body.get("weighing") or {}
            self._note_pass(weighing, ticket)
            self._note_untimed(weighing, ticket["ticketID"])

    def _note_pass(self, weighing: dict[str, Any], ticket: dict[str, Any]) -> None:
        """Remember a vehicle's first pass, forget it with the second: see `intake.passes`."""
        key = weighing.get("vehicle_key")
        if weighing.get("pass") == "first":
            self._connection.execute(
                "INSERT OR REPLACE INTO first_passes VALUES (?, ?, ?)",
                (key, ticket["scaleGross"], ticket["ticketID"]),
            )
        elif weighing.get("pass") == "second":
            self._connection.execute("DELETE FROM first_passes WHERE vehicle = ?", (key,))

    def first_pass(self, vehicle_key: str) -> FirstPass | None:
        """A vehicle's open first pass."""
        rows = self._rows(
            "SELECT t.id, p.gross, t.body, u.boot, u.uptime FROM first_passes p "
            "JOIN tickets t ON t.id = p.ticket LEFT JOIN untimed u ON u.ticket = t.id "
            "WHERE p.vehicle = ?",
            (vehicle_key,),
        )
        for ticket, gross, body, boot, uptime in rows:
            time = parse_timestamp(json.loads(body)["timestamp"])
            return FirstPass(ticket, gross, time, boot, uptime)
        return None

    def has(self, ticket_id: str) -> bool:
        """Whether this id was ever given to a ticket."""
        return any(self._rows("SELECT 1 FROM tickets WHERE id = ?", (ticket_id,)))

    def state_of(self, ticket_id: str) -> str | None:
        """How far a ticket is; None for an id that was never given."""
        rows = self._rows("SELECT state FROM tickets WHERE id = ?", (ticket_id,))
        return next((str(state) for (state,) in rows), None)

    def ticket_of(self, sample: Sample, *, any_sequence: bool) -> str | None:
        """The ticket that a sample went into.

        With `any_sequence` the cell and the time alone decide: in a replay they name one row.
        """
        sql = "SELECT ticket FROM samples WHERE cell = ? AND time = ?"
        values: tuple[object, ...] = (sample.cell, sample.time)
        if not any_sequence:
            sql, values = sql + " AND sequence = ?", (*values, sample.sequence)
        return next((str(ticket) for (ticket,) in self._rows(sql, values)), None)

    def waiting(self, limit: int, *, without: Sequence[str] = ()) -> list[Waiting]:
        """The oldest tickets that the platform has not answered for, and that are not `without`.

        Those whose time is not known yet wait for it.

        It reads no more than these and those, however many wait. (Left to itself, SQLite takes the
        index of the states, and then sorts all that wait.)
        """
        rows = self._rows(
            "SELECT id, body FROM tickets INDEXED BY tickets_waiting "
            "WHERE state IN ('queued', 'sending') "
            "AND id NOT IN (SELECT value FROM json_each(?)) "
            "AND id NOT IN (SELECT ticket FROM untimed) "
            "ORDER BY sequence LIMIT ?",
            (json.dumps(list(without)), limit),
        )
        return [Waiting(*row) for row in rows]

    def mark_sending(self, ids: Sequence[str]) -> None:
        """Note that these tickets are about to leave; they may be registered from now on."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE tickets SET state = 'sending' WHERE id = ? AND state = 'queued'",
                [(ticket_id,) for ticket_id in ids],
            )

    def settle(
        self, receipts: Iterable[Receipt], refusals: Iterable[tuple[str, dict[str, Any]]]
    ) -> int:
        """Store the platform's answers. A receipt, once stored, is never replaced.

        How many refused tickets wait for a person now.
        """
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE tickets SET state = 'registered', transaction_hash = ?, block_number = ? "
                "WHERE id = ? AND state IN ('queued', 'sending')",
                [(r.transaction_hash, r.block_number, r.ticket_id) for r in receipts],
            )
            connection.executemany(
                "UPDATE tickets SET state = 'refused', problem = ? "
                "WHERE id = ? AND state IN ('queued', 'sending')",
                [(json.dumps(problem), ticket_id) for ticket_id, problem in refusals],
            )
        return self.open_refusals()

    def counts(self) -> dict[str, int]:
        """How many tickets are in each state, and how many weighings are set aside.

        `refused` are those that wait for a person, `dismissed` the others. `untimed` are queued.
        """
        counts = dict.fromkeys(("queued", "sending", "registered", "refused"), 0)
        counts.update(self._rows("SELECT state, count(*) FROM tickets GROUP BY state"))
        for table in ("set_aside", "dismissals", "untimed"):
            counts.update(self._rows(f"SELECT '{table}', count(*) FROM {table}"))  # noqa: S608 - the names stand in the line above
        counts["dismissed"] = counts.pop("dismissals")
        counts["refused"] -= counts["dismissed"]
        return counts

    def receipts(self) -> Iterator[Receipt]:
        """All receipts in the order of the weighings."""
        rows = self._rows(
            "SELECT id, transaction_hash, block_number FROM tickets "
            "WHERE state = 'registered' ORDER BY sequence"
        )
        for ticket_id, transaction, block in rows:
            yield Receipt(ticket_id=ticket_id, transaction_hash=transaction, block_number=block)
