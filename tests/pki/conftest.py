"""Authorities for the tests of this room."""

from pathlib import Path

import pytest
from hypothesis import settings

from steelyard.pki.authority import Authority

# Key generation and OpenSSL on a busy machine: an example's time says nothing.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "devices", "Test devices")
