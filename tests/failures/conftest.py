"""One network of real engines and one platform for all faults, and the table of what they did."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from platform_process import Platform
from world import Scene, write_table

from real_engines import require_engines
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings

NODES = 5
HEAP_MEGABYTES = 128


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Scene]:
    """Five nodes, both APIs, a customer with a station. Needs the real programs."""
    require_engines()
    directory = tmp_path_factory.mktemp("f")
    settings = NetworkSettings(nodes=NODES, heap=HEAP_MEGABYTES)
    made = directory / "platform"
    made.mkdir(mode=0o700)
    platform = Platform(made)
    platform.prepare()
    with LocalNetwork(directory / "n", settings) as network:
        scene = Scene(network, platform, directory)
        try:
            platform.start("management-api")
            platform.start("tickets-api")
            asyncio.run(scene.register())
            yield scene
        finally:
            platform.stop()
            if scene.rows:
                _print(write_table(scene.rows), pytestconfig)


def _print(text: str, config: pytest.Config) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n\n{text}\n")
