"""Servers, clients and credentials on loopback."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from coap_harness import Bench


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory):
    """A directory with the test's authorities, made once: keys take their time."""
    from coap_harness import Pki

    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def bench(pki, tmp_path: Path):
    """Makes servers and clients, and takes them down."""
    one = Bench(pki, tmp_path)
    yield one
    await one.close()
