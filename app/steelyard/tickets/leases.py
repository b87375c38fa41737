"""What both queues in the database have in common: leases of what is due, and later attempts."""

import random
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.store.database import Database
from steelyard.store.models import Delivery, RouteCheck

LEASE_MS = 120_000
_FIRST_MS, _LONGEST_MS = 2_000, 6 * 3_600_000

QueuedT = TypeVar("QueuedT", RouteCheck, Delivery)


async def lease(
    database: Database, table: type[QueuedT], now: int, limit: int
) -> Sequence[QueuedT]:
    """Rows that are due and that nobody else works on for LEASE_MS. They are no part of a session.

    Whoever leases a row and dies leaves it to be leased again.
    """
    due = select(table).where(table.due_at <= now).order_by(table.due_at).limit(limit)
    async with database.session(read_only=True) as session:
        rows: Sequence[QueuedT] = (await session.scalars(due)).all()
    if not rows:
        return ()  # a look writes nothing: SQLite has one writer
    async with database.session() as session:
        return [row for row in rows if await _take(session, table, row, now)]


async def _take(session: AsyncSession, table: type[QueuedT], row: QueuedT, now: int) -> bool:
    statement = (
        update(table)
        .where(table.id == row.id, table.due_at == row.due_at)
        .values(due_at=now + LEASE_MS)
        .execution_options(synchronize_session=False)
    )
    result = cast("CursorResult[Any]", await session.execute(statement))
    return result.rowcount == 1


def later(now: int, attempts: int) -> int:
    """When to try again after so many attempts: twice as long each time, by chance up to a half
    less, so that what failed together does not come back together.
    """
    pause = min(_FIRST_MS * 2 ** min(attempts, 20), _LONGEST_MS)
    return now + int(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load only
