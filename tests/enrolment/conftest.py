"""A real management API that enrols, with a station registered, and a SmartBox and a cell of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database_fixtures import migrated_sqlite
from enrolment_kit import Field, make_settings
from registry_world import Secrets, World, prepare, running_api
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.store.settings import StoreSettings

__all__ = ["migrated_sqlite"]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return Secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="session")
def prepared(
    secrets: Secrets, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, World]:
    return prepare(secrets, migrated_sqlite, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> EnrolmentSettings:
    return make_settings(tmp_path_factory.mktemp("authority") / "devices")


@pytest.fixture
async def field(
    secrets: Secrets,
    prepared: tuple[Path, World],
    enrolment: EnrolmentSettings,
    tmp_path: Path,
) -> AsyncIterator[Field]:
    """The API over a world of its own, and a directory in the field."""
    path = tmp_path / "steelyard.db"
    path.write_bytes(prepared[0].read_bytes())
    path.chmod(0o600)
    store = StoreSettings(url=f"sqlite:///{path}")
    async with running_api(secrets, store, enrolment=enrolment) as api:
        admin = await api.token("admin@a.test")
        yield Field(api, prepared[1], admin, secrets.authority, tmp_path / "field")


@pytest.fixture
async def enrolled(field: Field) -> Field:
    """A SmartBox and a cell that were enrolled."""
    await field.enrol_box()
    await field.enrol_cell(await field.claim("cell_a"))
    return field
