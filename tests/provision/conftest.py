"""A management API over HTTPS with nothing but an administrator in it."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database_fixtures import migrated_sqlite
from provision_world import Bed
from registry_world import Secrets, bootstrap, running_api
from steelyard.store.settings import StoreSettings

__all__ = ["migrated_sqlite"]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return Secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def store(migrated_sqlite: Path, tmp_path: Path) -> StoreSettings:
    path = tmp_path / "steelyard.db"
    shutil.copyfile(migrated_sqlite, path)
    path.chmod(0o600)
    return StoreSettings(url=f"sqlite:///{path}")


@pytest.fixture
async def bed(secrets: Secrets, store: StoreSettings, tmp_path: Path) -> AsyncIterator[Bed]:
    """Nothing but an administrator is registered."""
    async with running_api(secrets, store) as api:
        await bootstrap(api)
        yield Bed(api, tmp_path, secrets.authority)
