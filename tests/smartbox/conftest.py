"""The SmartBox's fixtures: certificates, a fake platform, a station on disk."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from smartbox_kit import FakePlatform, Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Two authorities, a SmartBox and eight cells under two weighbridges."""
    return Stage(tmp_path_factory.mktemp("stage"))


@pytest.fixture
async def platform(stage: Stage) -> AsyncIterator[FakePlatform]:
    """A platform over HTTPS that can fail on demand."""
    fake = FakePlatform(stage)
    await fake.start()
    yield fake
    await fake.stop()
