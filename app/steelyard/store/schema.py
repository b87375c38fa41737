"""Bringing the database's tables to this version, and finding out whether they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from steelyard.store.database import Database, unavailable_as_problem
from steelyard.store.errors import SchemaMismatch
from steelyard.store.models import Base

_DIRECTORY = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x6D6967726174  # an advisory lock: two hosts may upgrade at the same time


def head() -> str:
    """The revision that this version of the program needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def current(database: Database) -> str | None:
    """The database's revision; None when it has no tables yet."""
    async with unavailable_as_problem(), database.engine.connect() as connection:
        return await connection.run_sync(_current)


async def upgrade(database: Database, revision: str = "head") -> str | None:
    """Bring the tables to a revision, in one transaction; the revision before that."""
    return await _migrate(database, command.upgrade, revision)


async def downgrade(database: Database, revision: str) -> str | None:
    """Take the tables back to a revision (`base`: none), losing what only later ones hold."""
    return await _migrate(database, command.downgrade, revision)


async def differences(database: Database) -> list[str]:
    """In what the database's tables differ from those that the program declares."""
    async with unavailable_as_problem(), database.engine.connect() as connection:
        return await connection.run_sync(_differences)


async def require_schema(database: Database) -> None:
    """Raise SchemaMismatch unless the database is at the revision that the program needs."""
    found = await current(database)
    if found != head():
        raise SchemaMismatch(f"the database is at revision {found or 'none'}, not at {head()}")


def configure(configure_context: Callable[..., None], connection: Connection) -> None:
    """The one way in which Alembic is set up, for migrations and for comparisons."""
    configure_context(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,  # SQLite's too: store.database begins its transactions itself
        transaction_per_migration=False,
    )


async def _migrate(
    database: Database, step: Callable[[Config, str], None], revision: str
) -> str | None:
    def run(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        before = _current(connection)
        config = _config()
        config.attributes["connection"] = connection
        step(config, revision)
        return before

    async with unavailable_as_problem(), database.engine.begin() as connection:
        return await connection.run_sync(run)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _differences(connection: Connection) -> list[str]:
    options: dict[str, Any] = {"compare_type": True, "target_metadata": Base.metadata}
    context = MigrationContext.configure(connection, opts=options)
    return [_describe(item) for item in compare_metadata(context, Base.metadata)]


def _describe(item: Any) -> str:
    first = item[0] if isinstance(item, list) else item
    return " ".join(str(part) for part in first[:1]) + f" {first[1:4]!r}"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_DIRECTORY).replace("%", "%%"))
    return config
