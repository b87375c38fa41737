"""The connection to the entity database: one session is one transaction is one unit of work."""

import os
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm.exc import StaleDataError
from structlog import get_logger

from steelyard.errors import ConfigurationError, Problem
from steelyard.secret_files import read_secret, read_secret_line
from steelyard.store.audit import AUDIT_KEY, Subject, record
from steelyard.store.constraints import explain
from steelyard.store.errors import ChangedMeanwhile, DatabaseUnavailable, VaultTampered
from steelyard.store.settings import StoreSettings

logger = get_logger(__name__)

_READ_ONLY = "steelyard_read_only"
_MIN_AUDIT_KEY = 16
# SQLSTATE classes: connection, authorization, rollback (deadlock), resources, operator (time-out).
_OUTAGE_CLASSES = ("08", "28", "40", "53", "57")
_SQLITE_OUTAGES = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
)


class Database:
    """The entity database of one process. Make it once, `dispose` of it at the end.

    Problems that leave a session: `DatabaseUnavailable`, `ChangedMeanwhile` (version conflict),
    `Taken` and `InUse` (constraints).
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.engine = _make_engine(settings)
        info = {AUDIT_KEY: _audit_key(settings)}
        self._writing = async_sessionmaker(self.engine, expire_on_commit=False, info=info)
        reading = self.engine.execution_options(**{_READ_ONLY: True})
        self._reading = async_sessionmaker(reading, expire_on_commit=False, info=info)

    @asynccontextmanager
    async def session(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        On SQLite a writing session holds the database's one write lock from its start: ask other
        systems (the ledger, above all) outside of it. With `read_only` the database refuses
        writes. A `VaultTampered` that leaves the block is written to the audit log.
        """
        try:
            async with self._transaction(read_only=read_only) as session:
                yield session
        except VaultTampered as problem:
            await self.record_tampering(problem)
            raise

    @asynccontextmanager
    async def _transaction(self, *, read_only: bool) -> AsyncIterator[AsyncSession]:
        async with (self._reading if read_only else self._writing)() as session:
            try:
                await session.connection()
            except (DBAPIError, PoolTimeoutError, OSError) as error:
                raise _unavailable(error) from None
            try:
                yield session
                await session.commit()
            except BaseException as error:
                with suppress(DBAPIError, OSError):
                    await session.rollback()
                if problem := _translate(error):
                    raise problem from None
                raise

    async def record_tampering(self, problem: VaultTampered, request_id: str | None = None) -> None:
        """Write the audit line of a value that did not open; once for one problem.

        Needed only where a `VaultTampered` is caught inside of a session, or raised outside of one.
        """
        if problem.recorded:
            return
        problem.recorded = True
        logger.error("vault value tampered with", table=problem.table, row=problem.row)
        try:
            async with self._transaction(read_only=False) as session:
                await record(
                    session,
                    "vault.open",
                    subject=Subject(problem.table, problem.row),
                    outcome="tampered",
                    detail={"column": problem.column, "reason": problem.reason},
                    request_id=request_id,
                )
        except Problem as failure:
            # The caller must still get the tampering, and the log above has it.
            logger.error("vault tampering not audited", reason=failure.slug)  # noqa: TRY400 - logs no traceback

    async def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers."""
        async with self.session(read_only=True) as session:
            await session.execute(text("SELECT 1"))

    async def dispose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


@asynccontextmanager
async def unavailable_as_problem() -> AsyncIterator[None]:
    """Turn what a driver raises when it cannot reach the database into DatabaseUnavailable."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if isinstance(error, OSError) or _is_outage(error):
            raise _unavailable(error) from None
        raise


def _audit_key(settings: StoreSettings) -> bytes:
    if settings.audit_key_file is None:
        return b""
    key = read_secret(settings.audit_key_file, "store.audit_key_file").strip()
    if len(key) < _MIN_AUDIT_KEY:
        raise ConfigurationError(
            f"store.audit_key_file: {settings.audit_key_file} must hold at least "
            f"{_MIN_AUDIT_KEY} bytes"
        )
    return key


def _make_engine(settings: StoreSettings) -> AsyncEngine:
    url = settings.engine_url()
    if url.get_backend_name() == "sqlite":
        _create_privately(Path(str(url.database)))
        engine = create_async_engine(
            url,
            hide_parameters=True,
            connect_args={"timeout": settings.busy_timeout_seconds},
        )
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    if settings.password_file is not None:
        url = url.set(password=read_secret_line(settings.password_file, "store.password_file"))
    milliseconds = int(settings.statement_timeout_seconds * 1000)
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=settings.pool_size,
        pool_pre_ping=True,
        pool_timeout=settings.connect_timeout_seconds,
        connect_args={
            "timeout": settings.connect_timeout_seconds,
            "server_settings": {
                "application_name": "steelyard",
                "statement_timeout": str(milliseconds),
            },
            **_verified(settings),
        },
    )
    event.listen(engine.sync_engine, "begin", _begin_postgresql)
    return engine


def _verified(settings: StoreSettings) -> dict[str, ssl.SSLContext]:
    """The driver's argument for TLS, where the server's authority is known."""
    if settings.ca_file is None:
        return {}
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file))
    except OSError as error:  # also of ssl: what is no certificate
        reason = error.strerror if not isinstance(error, ssl.SSLError) else "no certificate in it"
        raise ConfigurationError(f"store.ca_file: {settings.ca_file}: {reason}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return {"ssl": context}


def _create_privately(path: Path) -> None:
    """Create the file readable by its owner only; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigurationError(f"store.url: {path} cannot be created: {error.strerror}") from None


def _configure_sqlite(connection: DBAPIConnection, record_: object) -> None:
    del record_
    connection.isolation_level = None  # the module's own implicit BEGIN breaks transactional DDL
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once, without waiting, when
    # somebody else wrote in between; so a writer takes the lock before it reads.
    reading = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_READ_ONLY, False):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _translate(error: BaseException) -> Problem | None:
    if isinstance(error, StaleDataError):
        return ChangedMeanwhile("the entity was changed by somebody else")
    if isinstance(error, IntegrityError):
        return explain(error)
    return _unavailable(error) if _is_outage(error) else None


def _is_outage(error: BaseException) -> bool:
    """Whether the database could not do it now, and not that it was asked for something wrong."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # SQLite's module raises OperationalError for outages and for wrong statements alike.
        return error.orig.sqlite_errorcode & 0xFF in _SQLITE_OUTAGES
    state = getattr(error.orig, "sqlstate", None) or ""
    return (
        isinstance(error, OperationalError)
        or error.connection_invalidated
        or state[:2] in _OUTAGE_CLASSES
    )


def _unavailable(error: BaseException) -> DatabaseUnavailable:
    cause: Any = getattr(error, "orig", None) or error
    logger.error("database not available", reason=type(cause).__name__)
    if isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause):
        return DatabaseUnavailable("the database is busy with another writer")
    return DatabaseUnavailable("the database does not answer")
