"""The real databases that this room's tests run against."""

from database_fixtures import (
    database,
    empty_database,
    empty_settings,
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
    store_settings,
)

__all__ = [
    "database",
    "empty_database",
    "empty_settings",
    "migrated_postgresql",
    "migrated_sqlite",
    "postgresql_server",
    "store_settings",
]
