"""A session is one transaction; what goes wrong in it is a Problem and never a driver's text."""

# ruff: noqa: PT012 - what must raise is the session around a statement, not one line of it

import asyncio
import stat
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from database_fixtures import BOTH
from databases import a_customer, a_station, a_user
from steelyard.errors import ConfigurationError
from steelyard.store.database import Database
from steelyard.store.errors import ChangedMeanwhile, DatabaseUnavailable, InUse, Taken
from steelyard.store.models import Customer
from steelyard.store.settings import StoreSettings


async def _count(database: Database) -> int:
    async with database.session(read_only=True) as session:
        return await session.scalar(select(func.count()).select_from(Customer))


async def test_a_session_commits_at_its_end(database):
    """What was added in the block is there after it."""
    async with database.session() as session:
        session.add(a_customer())
    assert await _count(database) == 1


async def test_an_exception_rolls_everything_back(database):
    """Nothing of a unit of work stands when it fails, and its exception passes unchanged."""
    with pytest.raises(OSError, match="ledger"):
        async with database.session() as session:
            session.add(a_customer())
            await session.flush()
            raise OSError("ledger")
    assert await _count(database) == 0


async def test_a_cancelled_session_rolls_back_and_gives_its_connection_back(database):
    """A client that goes away in the middle leaves nothing, and no lock."""
    reached = asyncio.Event()

    async def work():
        async with database.session() as session:
            session.add(a_customer())
            await session.flush()
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.session() as session:
        session.add(a_customer("after"))
    assert await _count(database) == 1


async def test_a_read_only_session_writes_nothing(database):
    """The database itself refuses a write in it, and takes one in the next session."""
    with pytest.raises((DBAPIError, DatabaseUnavailable)):
        async with database.session(read_only=True) as session:
            session.add(a_customer())
            await session.flush()
    assert await _count(database) == 0
    async with database.session() as session:
        session.add(a_customer())
    assert await _count(database) == 1


async def test_writers_wait_for_each_other(database):
    """Twenty read-modify-write units at once lose no update."""
    async with database.session() as session:
        customer = a_customer("0")
        session.add(customer)

    async def increment():
        async with database.session() as session:
            row = await session.get_one(Customer, customer.id, with_for_update=True)
            row.name = str(int(row.name) + 1)

    await asyncio.gather(*(increment() for _ in range(20)))
    async with database.session(read_only=True) as session:
        row = await session.get_one(Customer, customer.id)
        assert (row.name, row.version) == ("20", 21)


async def test_a_stale_version_is_refused(database):
    """Who changes what somebody else changed meanwhile is told so."""
    customer = a_customer()
    async with database.session() as session:
        session.add(customer)
    async with database.session() as session:
        (await session.get_one(Customer, customer.id)).name = "first"
    with pytest.raises(ChangedMeanwhile):
        async with database.session() as session:
            merged = await session.merge(customer)
            merged.name = "second"
            await session.flush()


async def test_a_unique_name_that_is_in_use_is_a_sentence(database):
    """The problem says what is taken, names the constraint, and holds nothing of SQL."""
    async with database.session() as session:
        session.add(a_customer("ACME"))
    with pytest.raises(Taken, match="a customer has this name already") as caught:
        async with database.session() as session:
            session.add(a_customer("acme"))
    assert caught.value.constraint == "uq_customers_name_key"
    assert "INSERT" not in str(caught.value)


async def test_a_missing_parent_is_a_problem(database):
    """A row that refers to nothing is refused by the database."""
    with pytest.raises(InUse):
        async with database.session() as session:
            session.add(a_station(a_customer()))


async def test_no_value_appears_in_an_error(database):
    """A driver's exception that passes through does not show the parameters."""
    with pytest.raises(DBAPIError) as caught:
        async with database.session() as session:
            session.add(a_user(None, password_hash="s3cret-hash", role="customer-user"))
    assert "s3cret-hash" not in str(caught.value)


async def test_an_unreachable_server_is_a_problem(tmp_path):
    """A connection that is refused is told as a 503."""
    database = Database(StoreSettings(url="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await database.dispose()


async def test_a_wrong_password_is_a_problem_without_the_password(
    postgresql_server, migrated_postgresql, tmp_path
):
    """The server's refusal does not repeat what was sent."""
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text("wr0ng-s3cret")
    settings = StoreSettings(url=postgresql_server.url(migrated_postgresql), password_file=secret)
    database = Database(settings)
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.ping()
    assert "wr0ng-s3cret" not in f"{caught.value!r} {database.engine!r} {settings!r}"
    await database.dispose()


async def test_the_statement_timeout_reaches_the_server(
    postgresql_server, migrated_postgresql, tmp_path
):
    """A statement that takes too long ends as a problem."""
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text(postgresql_server.password)
    database = Database(
        StoreSettings(
            url=postgresql_server.url(migrated_postgresql),
            password_file=secret,
            statement_timeout_seconds=0.05,
        )
    )
    with pytest.raises(DatabaseUnavailable):
        async with database.session(read_only=True) as session:
            await session.execute(text("SELECT pg_sleep(5)"))
    await database.dispose()


@pytest.mark.parametrize("store_settings", [BOTH[1]], indirect=True)
async def test_dropped_connections_are_made_anew(database):
    """A unit of work that loses its connection is a 503; the next one has another connection."""
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            async with database.session() as session:
                await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        await database.ping()
    async with database.session() as killer:
        async with database.session(read_only=True) as other:
            pid = await other.scalar(text("SELECT pg_backend_pid()"))
        await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await asyncio.gather(*(database.ping() for _ in range(3)))


async def test_sqlite_is_set_up_for_durability(migrated_sqlite, tmp_path):
    """WAL, foreign keys, full synchronisation, on every connection; the file is its owner's."""
    path = tmp_path / "new.db"
    database = Database(StoreSettings(url=f"sqlite:///{path}"))
    async with database.session() as session:
        found = [
            (await session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
        await session.execute(text("CREATE TABLE side_files (a)"))
        modes = [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("new.db*")]
    assert found == ["wal", 1, 2]
    assert modes
    assert set(modes) == {0o600}
    await database.dispose()


async def test_a_busy_sqlite_is_a_problem(migrated_sqlite, tmp_path):
    """A writer that waits longer than allowed gets a 503 instead of a lock for ever."""
    path = tmp_path / "busy.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(StoreSettings(url=f"sqlite:///{path}", busy_timeout_seconds=0.05))
    async with database.session():
        with pytest.raises(DatabaseUnavailable, match="busy"):
            async with database.session():
                pass
    await database.dispose()


def test_a_file_that_cannot_be_made_is_a_configuration_error(tmp_path):
    """The path and the reason are named."""
    with pytest.raises(ConfigurationError, match=r"store\.url: .*missing.*cannot be created"):
        Database(StoreSettings(url=f"sqlite:///{tmp_path}/missing/x.db"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:secret@h/x", "must not hold a password"),
        ("postgresql://u@h/x?password=secret", "must not hold a password"),
        ("mysql://u@h/x", "must be sqlite:"),
        ("no url", "must be sqlite:"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_bad_urls_are_refused_without_being_repeated(monkeypatch, url, reason):
    """The sentence says what is allowed, and a password in the URL is not in it."""
    monkeypatch.setenv("STEELYARD_STORE_URL", url)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        StoreSettings.load()
    assert "secret" not in str(caught.value)


def test_a_short_audit_key_is_refused(tmp_path: Path):
    """A key that could be guessed is no key."""
    key = tmp_path / "audit"
    key.touch(mode=0o600)
    key.write_text("short")
    with pytest.raises(ConfigurationError, match="at least 16 bytes"):
        Database(StoreSettings(url=f"sqlite:///{tmp_path}/x.db", audit_key_file=key))


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), ("", "no certificate"), ("x", "no certificate")]
)
def test_an_authority_that_is_none_is_named(tmp_path, content, reason):
    """Before anything is connected to: a server would be refused for no visible reason."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=f"store.ca_file: .*ca.pem: {reason}"):
        Database(
            StoreSettings(url="postgresql://platform@database.example/steelyard", ca_file=path)
        )
