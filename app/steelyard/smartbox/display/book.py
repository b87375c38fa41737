"""The last tickets, as the outbox has them: each with its way to the ledger.

It reads over a connection of its own, in a thread of its own, so that a display never waits for
what is being written, nor the other way round.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from steelyard.smartbox.display.errors import NoSuchTicket
from steelyard.smartbox.errors import StorageUnavailable
from steelyard.ticket import Receipt, Ticket

Result = TypeVar("Result")

# A dismissed ticket is `refused` still, but nobody need look after it.
_STATE = "CASE WHEN dismissals.ticket IS NULL THEN tickets.state ELSE 'dismissed' END"
_COLUMNS = f"sequence, body, {_STATE}, transaction_hash, block_number, problem, dismissals.reason"
_TABLES = "tickets LEFT JOIN dismissals ON dismissals.ticket = tickets.id"


@dataclass(frozen=True, slots=True)
class Entry:
    """A ticket and how far it is: `queued`, `sending`, `registered`, `refused`, `dismissed`.

    `sequence` is the number of its alibi record; `problem` is why the platform refused it, and
    `settled` why somebody dismissed it all the same.
    """

    ticket: Ticket
    sequence: int
    state: str
    receipt: Receipt | None
    problem: dict[str, Any] | None
    settled: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What a display shows of it."""
        return {
            "ticket": self.ticket.as_json(),
            "record": self.sequence,
            "state": self.state,
            "receipt": self.receipt.model_dump(mode="json", by_alias=True)
            if self.receipt
            else None,
            "problem": self.problem,
            "settled": self.settled,
        }


class Book:
    """The tickets of an outbox, for reading. `path` is the outbox's file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="display-book")
        self._connection: sqlite3.Connection | None = None

    async def version(self) -> int:
        """A number that is another after each write to the outbox. Raises StorageUnavailable."""
        return await self._ask(self._version)

    async def last(self, count: int) -> list[Entry]:
        """The last tickets, the newest first. Raises StorageUnavailable."""
        return await self._ask(self._last, count)

    async def unsettled(self) -> dict[str, int]:
        """How many tickets wait for the platform, and how many refused ones for a person.

        Raises StorageUnavailable.
        """
        return await self._ask(self._unsettled)

    async def get(self, ticket_id: str) -> Entry:
        """One ticket. Raises NoSuchTicket, StorageUnavailable."""
        entry = await self._ask(self._get, ticket_id)
        if entry is None:
            raise NoSuchTicket(f"no ticket {ticket_id[:96]} was emitted here")
        return entry

    async def close(self) -> None:
        """Release the file."""
        await self._ask(self._close)
        self._thread.shutdown(wait=False)

    async def _ask(self, call: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _rows(self, sql: str, *values: object) -> Iterator[Any]:
        try:
            if self._connection is None:
                where = f"{self._path.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(where, uri=True, timeout=5)
            yield from self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{self._path}: {error}") from None

    def _version(self) -> int:
        return int(next(self._rows("PRAGMA data_version"))[0])

    def _last(self, count: int) -> list[Entry]:
        sql = f"SELECT {_COLUMNS} FROM {_TABLES} ORDER BY sequence DESC LIMIT ?"  # noqa: S608 - the columns stand above
        return [_entry(row) for row in self._rows(sql, count)]

    def _unsettled(self) -> dict[str, int]:
        counts = {"waiting": 0, "refused": 0}
        for state, count in self._rows(
            "SELECT state, count(*) FROM tickets "
            "WHERE state IN ('queued', 'sending', 'refused') "
            "AND id NOT IN (SELECT ticket FROM dismissals) GROUP BY state"
        ):
            counts["refused" if state == "refused" else "waiting"] += count
        return counts

    def _get(self, ticket_id: str) -> Entry | None:
        sql = f"SELECT {_COLUMNS} FROM {_TABLES} WHERE id = ?"  # noqa: S608 - as above
        return next((_entry(row) for row in self._rows(sql, ticket_id)), None)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _entry(row: tuple[int, str, str, str | None, int | None, str | None, str | None]) -> Entry:
    sequence, body, state, transaction, block, problem, settled = row
    ticket = Ticket.model_validate_json(body)
    receipt = None
    if transaction is not None and block is not None:
        receipt = Receipt(ticket_id=ticket.id, transaction_hash=transaction, block_number=block)
    reason = json.loads(problem) if problem else None
    return Entry(ticket, sequence, state, receipt, reason, settled)
