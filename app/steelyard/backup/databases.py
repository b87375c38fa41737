"""Restoring a PostgreSQL database beside the one that lives, which is kept under another name."""

import time
from typing import IO

from steelyard.backup.copies import postgres
from steelyard.backup.errors import BackupFailed, RestoreFailed
from steelyard.backup.settings import BackupSettings

_TABLES = (
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
)


def has_tables(settings: BackupSettings, name: str) -> bool:
    """Whether the database is there and has tables."""
    return _exists(settings, name) and _ask(settings, name, _TABLES) != "0"


def restore(settings: BackupSettings, name: str, dump: IO[bytes]) -> list[str]:
    """Restore a dump under the database's name, with its own settings and grants.

    The database that was there is kept under another name; on a failure it gets its name back.
    """
    aside = None
    if _exists(settings, name):
        aside = f"{name[:40]}_before_{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
        _rename(settings, name, aside)
    try:
        postgres(
            settings, ["pg_restore", "--create", "--exit-on-error", "--dbname=postgres"], stdin=dump
        )
    except BackupFailed as failure:
        if _exists(settings, name):
            _ask(settings, "postgres", f'DROP DATABASE "{name}"')
        if aside:
            _rename(settings, aside, name)
        raise RestoreFailed(f"database {name}: {failure}; it is as it was") from None
    told = [f"Restored the database {name}."]
    return [*told, f"What was there is the database {aside}."] if aside else told


def _rename(settings: BackupSettings, old: str, new: str) -> None:
    # Whoever is still connected would hold the name.
    _ask(
        settings,
        "postgres",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{old}'",  # noqa: S608 - as below
    )
    _ask(settings, "postgres", f'ALTER DATABASE "{old}" RENAME TO "{new}"')


def _exists(settings: BackupSettings, name: str) -> bool:
    found = _ask(settings, "postgres", f"SELECT 1 FROM pg_database WHERE datname = '{name}'")  # noqa: S608 - the settings allow letters, digits, _, $ and - in a name
    return found == "1"


def _ask(settings: BackupSettings, database: str, statement: str) -> str:
    arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
    return postgres(settings, ["psql", *arguments]).strip()
