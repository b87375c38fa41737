"""The SmartBox's fixtures: certificates, a fake platform, a station on disk."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from smartbox_kit import FakePlatform, Stage
from uplink_by_hand import ByHand
from uplink_kit import Desk

from steelyard.smartbox.recorder import Recorder, Storage


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


@pytest.fixture
async def desk(stage: Stage, platform: FakePlatform, tmp_path: Path) -> AsyncIterator[Desk]:
    """A station's storage, from which links send to the platform."""
    recorder = await Recorder.open(lambda: Storage.open(tmp_path, "station-1"))
    one = Desk(recorder, platform, stage)
    yield one
    for link in one.links:
        await link.close()
    await recorder.close()


@pytest.fixture
async def by_hand() -> AsyncIterator[Callable[..., Awaitable[ByHand]]]:
    """Makes uplinks whose requests and pauses the test ends; ends them with the test."""
    made: list[ByHand] = []

    async def make(**limits: int) -> ByHand:
        made.append(ByHand(**limits))
        await made[-1].calm()
        return made[-1]

    yield make
    for one in made:
        await one.stop()
        one.outbox.close()
