"""What the tests of the contract share."""

import sys
from pathlib import Path

import pytest

# The helpers beside this file are used by bench/contract.py as well, so they are no fixtures.
sys.path.insert(0, str(Path(__file__).parent))

from contract_bed import Station


@pytest.fixture
def station() -> Station:
    """A freshly deployed contract."""
    return Station()
