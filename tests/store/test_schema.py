"""Migrations go up and down, agree with the models, and may be started by several hosts at once."""

import asyncio

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from databases import a_customer
from steelyard.store import schema
from steelyard.store.database import Database
from steelyard.store.errors import SchemaMismatch
from steelyard.store.models import Base, Customer


async def _tables(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda c: inspect(c).get_table_names()))


def _shape(connection) -> dict:
    """Tables as the database itself describes them, in an order of no meaning."""
    look = inspect(connection)
    return {
        table: {
            "columns": {
                x["name"]: (str(x["type"]), x["nullable"]) for x in look.get_columns(table)
            },
            "checks": {x["name"]: x["sqltext"] for x in look.get_check_constraints(table)},
            "unique": {x["name"]: x["column_names"] for x in look.get_unique_constraints(table)},
            "foreign": {x["name"]: x["referred_table"] for x in look.get_foreign_keys(table)},
            "indexes": {
                x["name"]: (x["column_names"], bool(x["unique"]), _where(x))
                for x in look.get_indexes(table)
            },
        }
        for table in look.get_table_names()
        if table != "alembic_version"
    }


def _where(index) -> list[str]:
    """The condition of a partial index, whatever the dialect calls it."""
    return [str(value) for key, value in index["dialect_options"].items() if "where" in key]


async def test_up_and_down_leave_nothing_behind(empty_database):
    """All tables appear, all tables go, and the same again."""
    for _ in range(2):
        assert await schema.current(empty_database) is None
        assert await schema.upgrade(empty_database) is None
        assert await schema.current(empty_database) == schema.head()
        assert set(Base.metadata.tables) <= await _tables(empty_database)
        await schema.downgrade(empty_database, "base")
        assert await _tables(empty_database) == {"alembic_version"}


async def test_the_migrations_make_what_the_models_declare(empty_database):
    """Column by column, check by check: no difference to the models' own tables."""
    async with empty_database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        declared = await connection.run_sync(_shape)
        await connection.run_sync(Base.metadata.drop_all)
    await schema.upgrade(empty_database)
    async with empty_database.engine.connect() as connection:
        migrated = await connection.run_sync(_shape)
    assert migrated == declared
    assert await schema.differences(empty_database) == []


async def test_a_difference_is_found(database):
    """A column that somebody added, or dropped, is told."""
    async with database.session() as session:
        await session.execute(text("ALTER TABLE customers ADD COLUMN colour TEXT"))
    found = await schema.differences(database)
    assert len(found) == 1
    assert "remove_column" in found[0]


async def test_upgrading_keeps_the_data(database):
    """A second upgrade changes nothing."""
    customer = a_customer()
    async with database.session() as session:
        session.add(customer)
    assert await schema.upgrade(database) == schema.head()
    async with database.session(read_only=True) as session:
        assert await session.get(Customer, customer.id)


async def test_two_hosts_may_upgrade_at_once(empty_settings):
    """One makes the tables, the other finds them made."""
    databases = [Database(empty_settings) for _ in range(3)]
    before = await asyncio.gather(*(schema.upgrade(database) for database in databases))
    assert sorted(map(str, before)) == sorted([schema.head(), schema.head(), "None"])
    await asyncio.gather(*(database.dispose() for database in databases))


async def test_a_failed_upgrade_leaves_nothing_half_done(empty_database):
    """A migration is one transaction: its first tables go with its failure."""
    async with empty_database.session() as session:
        await session.execute(text("CREATE TABLE refresh_tokens (stray INTEGER)"))
    with pytest.raises(Exception, match="refresh_tokens"):
        await schema.upgrade(empty_database)
    assert await _tables(empty_database) == {"refresh_tokens"}


async def test_a_program_does_not_start_on_other_tables(empty_database):
    """The revision that is there and the one that is needed are named."""
    with pytest.raises(SchemaMismatch, match=f"revision none, not at {schema.head()}"):
        await schema.require_schema(empty_database)
    await schema.upgrade(empty_database)
    await schema.require_schema(empty_database)


def test_the_revisions_are_one_line():
    """No two revisions follow the same one."""
    script = ScriptDirectory.from_config(schema._config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
