"""What the commands say to those who type them, and what the relay makes of junk."""

import json
import os
from pathlib import Path

import cbor2
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from steelyard.cli import steelyard
from steelyard.errors import ConfigurationError
from steelyard.smartbox.doctor import SCARCE_BYTES, Level, check_disk
from steelyard.smartbox.enrolment.cell_relay import read_enrolment
from steelyard.smartbox.errors import BadSample
from steelyard.smartbox.room import Room


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--platform", "https://x.test", "--claim", "abc"], "24 letters and digits"),
        (["--platform", "http://x.test", "--claim", "abc"], "must be an https:// URL"),
        (["--platform", "https://u@x.test", "--claim", "abc"], "must be an https:// URL"),
        (["--platform", "https://[::1", "--claim", "abc"], "must be an https:// URL"),
        (["--platform", "https://x.test:70000", "--claim", "abc"], "must be an https:// URL"),
        (["--platform", "https://x..test", "--claim", "abc"], "must be an https:// URL"),
    ],
)
def test_a_slip_of_the_hand_is_told(tmp_path: Path, options: list[str], wanted: str) -> None:
    """Before anything is made or asked."""
    into = ["--into", str(tmp_path / "box"), "--ca", str(tmp_path / "ca.pem")]
    result = CliRunner().invoke(steelyard, ["smartbox", "enrol", *options, *into])
    assert isinstance(result.exception, ConfigurationError)
    assert wanted in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_authority_that_is_not_there_is_told_before_a_key_is_made(tmp_path: Path) -> None:
    """The file's name is in the sentence."""
    words = ["smartbox", "enrol", "--platform", "https://x.test", "--claim", "-"]
    options = ["--into", str(tmp_path / "box"), "--ca", str(tmp_path / "ca.pem")]
    code = "0123-4567-89AB-CDEF-GHJK-MNPQ\n"
    result = CliRunner().invoke(steelyard, [*words, *options], input=code)
    assert isinstance(result.exception, ConfigurationError)
    assert "ca.pem" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_of_an_unset_smartbox_says_what_to_do(tmp_path: Path) -> None:
    """Exit status 4, for people and for programs."""
    config = tmp_path / "smartbox.toml"
    config.write_text("[smartbox]\n")
    for json_too in ([], ["--json"]):
        words = ["smartbox", "doctor", "--config", str(config), *json_too]
        result = CliRunner().invoke(steelyard, words)
        assert result.exit_code == 4
        assert "smartbox.station" in result.output
        assert "smartbox enrol" in result.output
    (finding,) = json.loads(result.output)
    assert (finding["name"], finding["level"]) == ("configuration", "failure")


def test_cells_of_another_way_are_not_relayed(tmp_path: Path) -> None:
    """A SmartBox that was not enrolled says so."""
    result = CliRunner().invoke(steelyard, ["smartbox", "enrol-cells", "--config", "nowhere.toml"])
    assert isinstance(result.exception, ConfigurationError)
    assert "nowhere.toml" in str(result.exception)


def test_the_disk_is_looked_at(tmp_path: Path) -> None:
    """A directory that is not there, one that is, and one where tickets stop by the setting."""
    missing = check_disk(tmp_path / "nothing", 0)
    assert (missing.level, "nothing" in missing.found) == (Level.FAILURE, True)
    assert check_disk(tmp_path, 0).name == "disk"
    assert "MiB free" in check_disk(tmp_path, 0).found
    found = os.statvfs(tmp_path)
    more_than_there_is = found.f_blocks * found.f_frsize + 1
    full = check_disk(tmp_path, more_than_there_is)
    assert (full.level, full.found) == (Level.FAILURE, Room(tmp_path, more_than_there_is).problem())
    near = check_disk(tmp_path, found.f_bavail * found.f_frsize - SCARCE_BYTES // 2)
    assert (near.level, "MiB free" in near.found) == (Level.WARNING, True)


@given(st.binary(max_size=200))
def test_junk_is_no_enrolment(payload: bytes) -> None:
    """Any bytes are refused in one sentence."""
    with pytest.raises(BadSample):
        read_enrolment(payload)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_only_the_right_kinds_are_an_enrolment(
    claim: object, request: object, proof: object
) -> None:
    """Whatever stands in its members."""
    payload = cbor2.dumps({"claim": claim, "request": request, "proof": proof})
    try:
        locator, pem, found = read_enrolment(payload)
    except BadSample:
        return
    assert len(locator) == 8
    assert pem.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    assert len(found) == 32
