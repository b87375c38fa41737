"""The outbox: every ticket, whether the platform has it, and its receipt.

SQLite with a write-ahead log and synchronous=FULL. The log is flushed at every commit, which is
one fsync where a rollback journal needs three (an SD card's life and latency), and `status`,
`receipts` and `refused` read while the SmartBox writes.

States: `queued` (never left the box), `sending` (tried at least once, the outcome is not known),
`registered` (with its receipt), `refused` (set aside with the platform's reason).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from steelyard.smartbox.alibi_format import Head, Record
from steelyard.smartbox.errors import StorageUnavailable
from steelyard.smartbox.models import Moment, Sample
from steelyard.smartbox.outbox_schema import FIRST_PASSES, SCHEMA, SCHEMA_VERSION
from steelyard.ticket import Receipt


@dataclass(frozen=True, slots=True)
class Waiting:
    """A ticket that the platform has not answered for, in its JSON text."""

    id: str
    body: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused ticket: the platform's problem details, and the ticket."""

    id: str
    problem: dict[str, Any]
    ticket: dict[str, Any]


class Outbox:
    """The open outbox. All methods block; the recorder calls them from its one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> "Outbox":
        """Open or create the outbox for writing. Raises StorageUnavailable."""
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=5)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            outbox = cls(connection)
            with outbox._transaction():
                outbox._migrate()
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{path}: {error}") from None
        return outbox

    @classmethod
    def open_for_reading(cls, path: Path) -> "Outbox":
        """Open an existing outbox beside the SmartBox that writes it. Raises StorageUnavailable."""
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
            connection.execute("SELECT 1 FROM tickets LIMIT 1")
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{path}: {error}") from None
        return cls(connection)

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in SCHEMA.split(";\n"):
                self._connection.execute(statement)
        if version in (0, 1):
            self._connection.execute(FIRST_PASSES)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise StorageUnavailable(f"the outbox has version {version}, not {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk when it ends. Raises StorageUnavailable."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageUnavailable(f"the outbox: {error}") from None

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        """The rows of a query, as they come. Raises StorageUnavailable."""
        try:
            yield from self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise StorageUnavailable(f"the outbox: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

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
            "SELECT sequence, alibi_hash, alibi_offset FROM tickets ORDER BY sequence DESC LIMIT 1"
        ):
            return Head(*row)
        return None

    def hashes(self) -> Iterator[tuple[int, bytes]]:
        """Sequence and hash of every known record, in order."""
        yield from self._rows("SELECT sequence, alibi_hash FROM tickets ORDER BY sequence")

    def add(self, record: Record) -> None:
        """Queue the ticket of an alibi record; its samples are no longer set aside."""
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
            self._note_pass(record.body.get("weighing") or {}, ticket)

    def _note_pass(self, weighing: dict[str, Any], ticket: dict[str, Any]) -> None:
        """Remember a vehicle's first pass, forget it with the second: see `smartbox.passes`."""
        key = weighing.get("vehicle_key")
        if weighing.get("pass") == "first":
            self._connection.execute(
                "INSERT OR REPLACE INTO first_passes VALUES (?, ?, ?)",
                (key, ticket["scaleGross"], ticket["ticketID"]),
            )
        elif weighing.get("pass") == "second":
            self._connection.execute("DELETE FROM first_passes WHERE vehicle = ?", (key,))

    def first_pass(self, vehicle_key: str) -> tuple[str, int] | None:
        """The ticket and the gross in grams of a vehicle's open first pass."""
        rows = self._rows(
            "SELECT ticket, gross FROM first_passes WHERE vehicle = ?", (vehicle_key,)
        )
        return next(((str(ticket), int(gross)) for ticket, gross in rows), None)

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

    def waiting(self, limit: int, *, without: Sequence[str] = ()) -> list[Waiting]:
        """The oldest tickets that the platform has not answered for, and that are not `without`.

        It reads no more than these and those, however many wait. (Left to itself, SQLite takes the
        index of the states, and then sorts all that wait.)
        """
        rows = self._rows(
            "SELECT id, body FROM tickets INDEXED BY tickets_waiting "
            "WHERE state IN ('queued', 'sending') "
            "AND id NOT IN (SELECT value FROM json_each(?)) "
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
    ) -> None:
        """Store the platform's answers. A receipt, once stored, is never replaced."""
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

    def requeue(self, ids: Sequence[str]) -> int:
        """Send refused tickets again; how many of these ids were refused."""
        with self._transaction() as connection:
            return sum(
                connection.execute(
                    "UPDATE tickets SET state = 'queued', problem = NULL "
                    "WHERE id = ? AND state = 'refused'",
                    (ticket_id,),
                ).rowcount
                for ticket_id in ids
            )

    def counts(self) -> dict[str, int]:
        """How many tickets are in each state, and how many weighings are set aside."""
        counts = dict.fromkeys(("queued", "sending", "registered", "refused"), 0)
        counts.update(self._rows("SELECT state, count(*) FROM tickets GROUP BY state"))
        counts.update(self._rows("SELECT 'set_aside', count(*) FROM set_aside"))
        return counts

    def receipts(self) -> Iterator[Receipt]:
        """All receipts in the order of the weighings."""
        rows = self._rows(
            "SELECT id, transaction_hash, block_number FROM tickets "
            "WHERE state = 'registered' ORDER BY sequence"
        )
        for ticket_id, transaction, block in rows:
            yield Receipt(ticket_id=ticket_id, transaction_hash=transaction, block_number=block)

    def refusals(self) -> Iterator[Refusal]:
        """All refused tickets with the platform's reasons, in the order of the weighings."""
        rows = self._rows(
            "SELECT id, problem, body FROM tickets WHERE state = 'refused' ORDER BY sequence"
        )
        for ticket_id, problem, body in rows:
            yield Refusal(ticket_id, json.loads(problem), json.loads(body))
