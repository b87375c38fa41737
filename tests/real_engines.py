"""What tests on the real engines share: whether they are there, and a network made whole again."""

import os
import time

import pytest

from steelyard.network.errors import NetworkProblem
from steelyard.network.programs import GETH_VARIABLE, TESSERA_VARIABLE
from steelyard.network.service import LocalNetwork


def require_engines() -> None:
    """Skip the test, with what is missing, where the real programs are not named."""
    missing = [name for name in (GETH_VARIABLE, TESSERA_VARIABLE) if not os.environ.get(name)]
    if missing:
        pytest.skip(f"the real engine needs {' and '.join(missing)}")


def make_whole(network: LocalNetwork, seconds: float = 180) -> None:
    """Start what does not run, and wait until the network lives as a whole."""
    until = time.monotonic() + seconds
    while True:
        try:
            network.up()
        except NetworkProblem:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return
