"""Authorities for the tests of this room."""

from pathlib import Path

import pytest

from steelyard.pki.authority import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "devices", "Test devices")
