"""A real network of its own for tests that break it, whole again after each."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from breaking import Outages, RealOutages, SandboxOutages, mend

from stations import Engine, real_programs
from steelyard.network.service import LocalNetwork


@pytest.fixture(scope="package")
def real_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """In place of the one that other tests rely on."""
    with real_programs(tmp_path_factory.mktemp("broken")) as network:
        yield network


@pytest.fixture(scope="package")
def kept() -> dict[str, Any]:
    """What outlives a test on this network."""
    return {}


@pytest.fixture
async def outages(engine: Engine) -> AsyncIterator[Outages]:
    """What can be broken; it is mended afterwards."""
    if engine.network is None:
        yield SandboxOutages(engine.consortium)
        return
    yield RealOutages(engine.network)
    await asyncio.to_thread(mend, engine.network)
