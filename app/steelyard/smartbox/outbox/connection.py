"""The outbox's file: opened, brought up to date, written to all or nothing."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from steelyard.smartbox.errors import StorageFull, StorageUnavailable
from steelyard.smartbox.outbox.schema import (
    FIRST_PASSES,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_3,
    VERSION_3_BESIDE,
)


class OutboxConnection:
    """An open outbox. All methods block; the recorder calls them from its one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
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
            raise _problem(str(path), error) from None
        return outbox

    @classmethod
    def open_for_reading(cls, path: Path) -> Self:
        """Open an existing outbox beside the SmartBox that writes it. Raises StorageUnavailable."""
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
            connection.execute("SELECT 1 FROM tickets LIMIT 1")
            outbox = cls(connection)
            version = outbox._version()
            if version in (1, 2):
                # One from before, as in a backup: what it lacks stands beside it, and is empty.
                for statement in VERSION_3_BESIDE.split(";\n"):
                    connection.execute(statement)
        except sqlite3.Error as error:
            raise StorageUnavailable(f"{path}: {error}") from None
        if version not in (1, 2, SCHEMA_VERSION):
            outbox.close()
            raise StorageUnavailable(f"{path}: has version {version}, not {SCHEMA_VERSION}")
        return outbox

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _migrate(self) -> None:
        version = self._version()
        steps = {
            0: (SCHEMA, FIRST_PASSES, VERSION_3),
            1: (FIRST_PASSES, VERSION_3),
            2: (VERSION_3,),
        }
        if version == SCHEMA_VERSION:
            return
        if version not in steps:
            raise StorageUnavailable(f"the outbox has version {version}, not {SCHEMA_VERSION}")
        for part in steps[version]:
            for statement in part.split(";\n"):
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk when it ends. Raises StorageFull, StorageUnavailable."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has ended some failed transactions by itself.
                if connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _problem("the outbox", error) from None

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        """The rows of a query, as they come. Raises StorageUnavailable."""
        try:
            yield from self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise _problem("the outbox", error) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _problem(what: str, error: sqlite3.Error) -> StorageUnavailable:
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return (StorageFull if full else StorageUnavailable)(f"{what}: {error}")
