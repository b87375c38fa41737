"""The audit log: nothing is changed in it, and what was changed behind its back is found."""

# ruff: noqa: S608 - the statements that tamper are made of this file's own constants

import asyncio
import json
from contextlib import suppress

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from databases import a_customer
from steelyard.store.audit import Actor, AuditRecord, ChainHead, Subject, record, verify_chain
from steelyard.store.database import Database
from steelyard.store.errors import AuditChainBroken, DatabaseUnavailable
from steelyard.store.models import Customer

LINES = 5


@pytest.fixture
async def filled(database):
    """A log of five lines."""
    for number in range(LINES):
        async with database.session() as session:
            await record(
                session,
                "station.create",
                actor=Actor("user", "U1"),
                subject=Subject("station", f"S{number}"),
                detail={"name": "Nórth", "number": number},
                request_id="r" * 100,
            )
    return database


async def _head(database: Database, expected: ChainHead | None = None) -> ChainHead:
    async with database.session(read_only=True) as session:
        return await verify_chain(session, expected)


async def _behind_its_back(database: Database, *statements: str) -> None:
    """What an attacker with the database's own rights would do."""
    async with database.session() as session:
        if database.engine.dialect.name == "postgresql":
            await session.execute(text("ALTER TABLE audit_log DISABLE TRIGGER ALL"))
        else:
            await session.execute(text("DROP TRIGGER IF EXISTS audit_log_no_update"))
            await session.execute(text("DROP TRIGGER IF EXISTS audit_log_no_delete"))
        for statement in statements:
            await session.execute(text(statement))


async def test_lines_are_numbered_chained_and_readable(filled):
    """The head counts the lines; a line says who did what to whom."""
    assert (await _head(filled)).seq == LINES
    async with filled.session(read_only=True) as session:
        line = await session.get_one(AuditRecord, 3)
    assert (line.actor_id, line.action, line.subject_id) == ("U1", "station.create", "S2")
    assert json.loads(line.detail) == {"name": "Nórth", "number": 2}
    assert line.request_id == "r" * 64


TEXTS = [
    "actor_kind",
    "actor_id",
    "action",
    "subject_kind",
    "subject_id",
    "outcome",
    "detail",
    "request_id",
]
EDITS = dict.fromkeys(TEXTS, "'x'") | {
    "at": "at + 1",
    "hash": "(SELECT hash FROM audit_log WHERE seq = 2)",
}


@pytest.mark.parametrize("column", EDITS)
async def test_an_edit_of_any_column_is_found(filled, column):
    """The line is named."""
    await _behind_its_back(filled, f"UPDATE audit_log SET {column} = {EDITS[column]} WHERE seq = 3")
    with pytest.raises(AuditChainBroken, match="line 3 of the audit log does not fit"):
        await _head(filled)


def test_the_chain_covers_every_column():
    """A column that is added later must be in the chain, and in the test above."""
    assert {column.name for column in AuditRecord.__table__.columns} == {"seq", *EDITS}


@pytest.mark.parametrize("column", ["actor_id", "request_id", "subject_id"])
async def test_emptying_a_column_is_found(filled, column):
    """NULL is not the same as nothing."""
    await _behind_its_back(filled, f"UPDATE audit_log SET {column} = NULL WHERE seq = 1")
    with pytest.raises(AuditChainBroken, match="line 1"):
        await _head(filled)


async def test_a_removed_line_is_found(filled):
    """Also when the rest is renumbered."""
    await _behind_its_back(filled, "DELETE FROM audit_log WHERE seq = 2")
    with pytest.raises(AuditChainBroken, match="line 2 of the audit log is missing"):
        await _head(filled)
    await _behind_its_back(
        filled, *(f"UPDATE audit_log SET seq = {n} WHERE seq = {n + 1}" for n in range(2, LINES))
    )
    with pytest.raises(AuditChainBroken, match="line 2"):
        await _head(filled)


async def test_swapped_lines_are_found(filled):
    """Order is part of what the chain says."""
    await _behind_its_back(
        filled,
        "UPDATE audit_log SET seq = 99 WHERE seq = 2",
        "UPDATE audit_log SET seq = 2 WHERE seq = 3",
        "UPDATE audit_log SET seq = 3 WHERE seq = 99",
    )
    with pytest.raises(AuditChainBroken, match="line 2"):
        await _head(filled)


async def test_a_cut_off_end_is_found_by_a_kept_head(filled):
    """Only who kept the head elsewhere can know how long the log was; a longer log still has it."""
    head = await _head(filled)
    async with filled.session() as session:
        await record(session, "more")
    assert (await _head(filled, head)).seq == LINES + 1
    await _behind_its_back(filled, f"DELETE FROM audit_log WHERE seq >= {LINES}")
    assert (await _head(filled)).seq == LINES - 1
    with pytest.raises(AuditChainBroken, match="line 5 is not the one expected"):
        await _head(filled, head)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET outcome = 'x' WHERE seq = 1",
        "DELETE FROM audit_log WHERE seq = 1",
        "UPDATE audit_log SET seq = 9 WHERE seq = 99 OR seq = 1",
    ],
)
async def test_the_database_refuses_to_change_the_log(filled, statement):
    """Append-only is the table's own rule, not only the program's."""
    with pytest.raises(DBAPIError, match="append-only"):
        async with filled.session() as session:
            await session.execute(text(statement))
    assert (await _head(filled)).seq == LINES


async def test_a_line_stands_with_its_change_or_not_at_all(database):
    """A rolled back change leaves no line, and the chain goes on without a gap."""
    for fails in (True, False):
        with suppress(ZeroDivisionError):
            async with database.session() as session:
                session.add(a_customer())
                await record(session, "customer.create")
                assert 1 // (not fails) == 1
    async with database.session(read_only=True) as session:
        assert await session.scalar(select(func.count()).select_from(Customer)) == 1
    assert (await _head(database)).seq == 1


async def test_writers_at_once_make_one_chain(database):
    """Thirty units of work at once give thirty lines in a row."""

    async def write(number: int) -> None:
        async with database.session() as session:
            await record(session, "burst", detail={"number": number})

    await asyncio.gather(*(write(number) for number in range(30)))
    assert (await _head(database)).seq == 30


async def test_with_a_key_nobody_else_can_make_the_chain(store_settings, tmp_path):
    """A chain under another key, or under none, does not pass; the right key does."""
    databases = []
    for name in ("right", "wrong"):
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(name * 10)
        databases.append(Database(store_settings.model_copy(update={"audit_key_file": path})))
    right, wrong, plain = *databases, Database(store_settings)
    async with right.session() as session:
        await record(session, "one")
    assert (await _head(right)).seq == 1
    for other in (wrong, plain):
        with pytest.raises(AuditChainBroken):
            await _head(other)
    for database in (right, wrong, plain):
        await database.dispose()


async def test_recording_in_a_read_only_session_fails(database):
    """A reader cannot write a line by mistake."""
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        async with database.session(read_only=True) as session:
            await record(session, "nothing")
    assert (await _head(database)).seq == 0
