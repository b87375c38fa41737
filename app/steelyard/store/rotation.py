"""Sealing every value again under the current key, and finding those that do not open."""

import fcntl
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, RowMapping, Table, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import ConfigurationError
from steelyard.store.audit import OPERATOR, Subject, record
from steelyard.store.base import Sealed
from steelyard.store.database import Database
from steelyard.store.errors import VaultTampered
from steelyard.store.models import Base
from steelyard.store.row_seal import BOUND, SEAL, check_facts
from steelyard.store.vault import Place, Vault, key_id_of

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Survey:
    """What a walk over all sealed values found: their number by key id,
    how many were sealed anew, and those that do not open.
    """

    values: Mapping[str, int]
    resealed: int
    failures: tuple[VaultTampered, ...]


async def check(database: Database, vault: Vault) -> Survey:
    """Open every sealed value and compare the rows with their seals.

    Each failure is in the audit log afterwards.
    """
    return await _walk(database, vault, reseal=False)


async def rewrap(database: Database, vault: Vault) -> Survey:
    """Seal again what is not under the current key, some rows a transaction.

    It may be interrupted and repeated. A value that does not open stays as it is, and so keeps
    its key from being dropped.
    """
    return await _walk(database, vault, reseal=True)


async def drop_unused_keys(
    database: Database, vault: Vault, path: Path, *, after_ms: int, now: int
) -> set[str]:
    """Remove keys from the ring file that seal nothing any more; the removed ids.

    A key stays for `after_ms` after it was replaced: a process that still held the old ring may
    have sealed a value under it in a transaction that nobody can see yet.
    """
    survey = await check(database, vault)
    if survey.failures:
        return set()  # what does not open may be under any key
    used = set(survey.values)
    ring = vault.ring
    gone = {
        key_id
        for key_id in ring.keys
        if key_id not in used
        and key_id != ring.current
        and key_id in ring.replaced
        and ring.replaced[key_id] + after_ms <= now
    }
    if gone:
        ring.without(gone).write(path)
        async with database.session() as session:
            await record(
                session,
                "vault.drop-keys",
                actor=OPERATOR,
                subject=Subject("key-ring"),
                detail={"keys": sorted(gone)},
            )
    return gone


@contextmanager
def ring_lock(path: Path) -> Iterator[None]:
    """Keep a second vault command from replacing the ring file at the same time."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{lock} cannot be created: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigurationError(f"another vault command is working on {path}") from None
    finally:
        os.close(handle)


def sealed_columns() -> dict[Table, list[Column[Any]]]:
    """All columns of the database that hold vault values."""
    found = {
        table: [column for column in table.columns if isinstance(column.type, Sealed)]
        for table in Base.metadata.sorted_tables
    }
    return {table: columns for table, columns in found.items() if columns}


async def _walk(database: Database, vault: Vault, *, reseal: bool) -> Survey:
    counts: Counter[str] = Counter()
    failures: list[VaultTampered] = []
    resealed = 0
    for table, columns in sealed_columns().items():
        async for batch in _batches(database, table, columns):
            async with database.session(read_only=not reseal) as session:
                for row in await _rows(session, table, columns, batch, locked=reseal):
                    found = _inspect(vault, table, row, columns)
                    failures += found.failures
                    counts.update(found.keys)
                    if reseal and found.fresh:
                        await _store(session, table, row["id"], found.fresh)
                        resealed += len(found.fresh)
            for failure in failures:
                await database.record_tampering(failure)
    return Survey(dict(counts), resealed, tuple(failures))


@dataclass(frozen=True, slots=True)
class _Found:
    """One row's values: their keys, the failures, and what is to be stored under the new key."""

    keys: list[str]
    failures: list[VaultTampered]
    fresh: dict[str, bytes]


def _inspect(vault: Vault, table: Table, row: RowMapping, columns: Sequence[Column[Any]]) -> _Found:
    found = _Found([], [], {})
    for column in columns:
        sealed: bytes | None = row[column.name]
        if sealed is None:
            continue
        place = Place(table.name, row["id"], column.name)
        try:
            clear = vault.open(place, sealed)
            if column.name == SEAL:
                check_facts(vault, table.name, row["id"], sealed, row)
        except VaultTampered as failure:
            found.failures.append(failure)
            continue
        key_id = key_id_of(place, sealed)
        found.keys.append(key_id)
        if key_id != vault.current_key:
            found.fresh[column.name] = vault.seal(place, clear)
    return found


async def _store(session: AsyncSession, table: Table, row: str, fresh: Mapping[str, bytes]) -> None:
    # Times and version stay: the entity says what it said before. (Core applies `onupdate` too.)
    kept = {"updated_at": table.c.updated_at}
    await session.execute(update(table).where(table.c.id == row).values({**fresh, **kept}))


async def _batches(
    database: Database, table: Table, columns: Sequence[Column[Any]]
) -> AsyncIterator[list[str]]:
    after = ""
    while True:
        statement = (
            select(table.c.id)
            .where(table.c.id > after, or_(*(column.is_not(None) for column in columns)))
            .order_by(table.c.id)
            .limit(_BATCH)
        )
        async with database.session(read_only=True) as session:
            batch = list(await session.scalars(statement))
        if not batch:
            return
        yield batch
        after = batch[-1]


async def _rows(
    session: AsyncSession,
    table: Table,
    columns: Sequence[Column[Any]],
    batch: list[str],
    *,
    locked: bool,
) -> Sequence[RowMapping]:
    bound = [table.c[name] for name in BOUND.get(table.name, ())]
    statement = (
        select(table.c.id, *columns, *bound).where(table.c.id.in_(batch)).order_by(table.c.id)
    )
    if locked:
        statement = statement.with_for_update()
    return (await session.execute(statement)).mappings().all()
