"""Servers, clients and credentials on loopback."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from coap_harness import Bench

# Key generation and OpenSSL on a busy machine: an example's time says nothing.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


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
