"""Fixtures with real databases, for the conftest.py of each room that needs them."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databases import PostgresqlMissing, PostgresqlServer
from steelyard.store import schema
from steelyard.store.database import Database
from steelyard.store.settings import StoreSettings

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "migrated.db"

    async def migrate() -> None:
        database = Database(StoreSettings(url=f"sqlite:///{path}"))
        await schema.upgrade(database)
        await database.dispose()

    asyncio.run(migrate())
    return path


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One server for all tests of a process."""
    try:
        server = PostgresqlServer.start()
    except PostgresqlMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> str:
    """The name of a PostgreSQL database with all tables, to be copied."""
    postgresql_server.sql("CREATE DATABASE template_migrated")
    with tempfile.TemporaryDirectory() as directory:
        settings = _postgresql(postgresql_server, "template_migrated", Path(directory))

        async def migrate() -> None:
            database = Database(settings)
            await schema.upgrade(database)
            await database.dispose()

        asyncio.run(migrate())
    return "template_migrated"


def _postgresql(server: PostgresqlServer, name: str, directory: Path) -> StoreSettings:
    password_file = directory / "database-password"
    password_file.touch(mode=0o600)
    password_file.write_text(server.password + "\n")
    return StoreSettings(url=server.url(name), password_file=password_file)


@pytest.fixture(params=BOTH)
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreSettings]:
    """Settings of a database of the test's own with all tables, of either kind."""
    if request.param == "sqlite":
        path = tmp_path / "steelyard.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        path.chmod(0o600)
        yield StoreSettings(url=f"sqlite:///{path}")
        return
    template = request.getfixturevalue("migrated_postgresql")
    server = request.getfixturevalue("postgresql_server")
    name = f"test_{secrets.token_hex(6)}"
    server.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _postgresql(server, name, tmp_path)
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=BOTH)
def empty_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreSettings]:
    """Settings of a database without tables, of either kind."""
    if request.param == "sqlite":
        yield StoreSettings(url=f"sqlite:///{tmp_path / 'empty.db'}")
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"test_{secrets.token_hex(6)}"
    server.sql(f"CREATE DATABASE {name}")
    yield _postgresql(server, name, tmp_path)
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(store_settings: StoreSettings) -> AsyncIterator[Database]:
    """An open database with all tables."""
    opened = Database(store_settings)
    yield opened
    await opened.dispose()


@pytest.fixture
async def empty_database(empty_settings: StoreSettings) -> AsyncIterator[Database]:
    """An open database without tables."""
    opened = Database(empty_settings)
    yield opened
    await opened.dispose()
