"""A management API of the test's own: empty, or with two customers in it."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database_fixtures import (
    migrated_postgresql,
    migrated_sqlite,
    postgresql_server,
    store_settings,
)
from registry_world import Api, Secrets, World, prepare, running_api
from steelyard.store.settings import StoreSettings

__all__ = ["migrated_postgresql", "migrated_sqlite", "postgresql_server", "store_settings"]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return Secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="session")
def prepared(
    secrets: Secrets, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, World]:
    return prepare(secrets, migrated_sqlite, tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(prepared: tuple[Path, World]) -> World:
    return prepared[1]


@pytest.fixture
def populated(prepared: tuple[Path, World], tmp_path: Path) -> StoreSettings:
    """Settings of a database with the world in it."""
    path = tmp_path / "steelyard.db"
    shutil.copyfile(prepared[0], path)
    path.chmod(0o600)
    return StoreSettings(url=f"sqlite:///{path}")


@pytest.fixture
async def api(secrets: Secrets, populated: StoreSettings) -> AsyncIterator[Api]:
    """An API over the world."""
    async with running_api(secrets, populated) as running:
        yield running


@pytest.fixture
def empty_store(migrated_sqlite: Path, tmp_path: Path) -> StoreSettings:
    """Settings of a database with tables and nothing in them."""
    path = tmp_path / "empty.db"
    shutil.copyfile(migrated_sqlite, path)
    path.chmod(0o600)
    return StoreSettings(url=f"sqlite:///{path}")
