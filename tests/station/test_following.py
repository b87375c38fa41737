"""A new card's proxy and time zone come to an enrolled SmartBox, and nothing else changes."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station_kit import StationMachine, make_card
from steelyard.settings import as_toml
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.station.errors import MachineRefuses
from steelyard.station.following import MAX_BYTES, Following

PROXY = "http://proxy.example:3128"
CA = b"-----BEGIN CERTIFICATE-----\n"
LISBON = Following(proxy_url=None, display_time_zone="Europe/Lisbon")
BEHIND = Following(proxy_url=PROXY, display_time_zone="Europe/Madrid")
ENROLLED = """\
[smartbox]
station = "north"
# The one at the gate.
display_time_zone = "Europe/Lisbon"
display_host = "0.0.0.0"

[[smartbox.weighbridges]]
name = "gate"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "smartbox.toml"
    path.write_text(ENROLLED)
    return path


def section(config: Path) -> dict[str, object]:
    return tomllib.loads(config.read_text())["smartbox"]


def test_a_proxy_is_brought_and_taken_away(config: Path) -> None:
    """Comments, order and everything else stay."""
    before = section(config)
    assert not BEHIND.is_followed(config)
    assert BEHIND.bring(config)
    assert section(config) == before | {"proxy_url": PROXY, "display_time_zone": "Europe/Madrid"}
    assert "# The one at the gate.\n" in config.read_text()
    assert BEHIND.is_followed(config)
    assert not BEHIND.bring(config)
    assert LISBON.bring(config)
    assert section(config) == before


def test_what_says_the_same_is_not_written(config: Path) -> None:
    """However it is written."""
    text = ENROLLED.replace('"Europe/Lisbon"', "'Europe/Lisbon'  # summer, too")
    config.write_text(text)
    assert not LISBON.bring(config)
    assert config.read_text() == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[smartbox\n", "is no TOML"),
        (f"[smartbox]\nx = {'[' * 20_000}\n", "is no TOML"),
        (f"[smartbox]\nx = {'9' * 5_000}\n", "is no TOML"),
        ("[station]\n", "has no section smartbox"),
        ("smartbox = 1\n", "has no section smartbox"),
        ("[ smartbox ]\nstation = 'x'\n", "has no line"),
        ('[smartbox]\n"proxy_url" = "http://x:1"\n', "of the card there by hand"),
        ("[smartbox]\nmotto = '''\nproxy_url = no\n'''\n", "of the card there by hand"),
    ],
)
def test_what_cannot_be_changed_safely_is_left(config: Path, text: str, told: str) -> None:
    """In a sentence with the file's name."""
    config.write_text(text)
    with pytest.raises(MachineRefuses, match=f"{config}.*{told}"):
        BEHIND.bring(config)
    assert config.read_text() == text


def test_what_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    """By name."""
    with pytest.raises(MachineRefuses, match=r"none\.toml cannot be read: No such file"):
        BEHIND.bring(tmp_path / "none.toml")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(MachineRefuses, match="bytes is no text in UTF-8"):
        BEHIND.is_followed(tmp_path / "bytes")


def test_root_does_not_wait_for_what_is_no_file(tmp_path: Path) -> None:
    """The SmartBox's user may put anything there."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name in ("pipe", "large"):
        with pytest.raises(MachineRefuses, match=f"{name} must be a file of at most 65536 bytes"):
            BEHIND.is_followed(tmp_path / name)
    # It has no size, and no end either.
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(MachineRefuses, match="link cannot be read: Too many levels of symbolic"):
        BEHIND.is_followed(tmp_path / "link")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=20)
ZONES = st.sampled_from(["UTC", "Europe/Lisbon", "America/Lima"])


@given(
    values=st.dictionaries(st.sampled_from(["station", "client_id", "motto"]), TEXT),
    old=st.one_of(st.none(), st.just("http://old.example:8080")),
    new=st.one_of(st.none(), st.just(PROXY)),
    zones=st.tuples(ZONES, ZONES),
)
def test_whatever_an_enrolment_wrote_is_changed_in_two_places(
    tmp_path_factory: pytest.TempPathFactory,
    values: dict[str, str],
    old: str | None,
    new: str | None,
    zones: tuple[str, str],
) -> None:
    """And read again as what was wanted."""
    config = tmp_path_factory.mktemp("any") / "smartbox.toml"
    tables = [{"name": "gate", "cells": [{"serial": "["}]}]
    proxy = {} if old is None else {"proxy_url": old}
    given_values = {**values, **proxy, "display_time_zone": zones[0], "weighbridges": tables}
    config.write_text(as_toml("smartbox", given_values))
    wanted = Following(proxy_url=new, display_time_zone=zones[1])
    assert wanted.bring(config) == ((old, zones[0]) != (new, zones[1]))
    expected = {**values, "display_time_zone": zones[1], "weighbridges": tables}
    assert section(config) == expected | ({} if new is None else {"proxy_url": new})


def test_the_settings_are_the_smartbox_s() -> None:
    """By their names there."""
    assert set(Following.model_fields) <= set(SmartBoxSettings.model_fields)


def enrolled(tmp_path: Path) -> StationMachine:
    machine = StationMachine(tmp_path)
    machine.write_card(make_card(), CA)
    machine.prepare()
    machine.enrol()
    machine.places.smartbox_config.write_text(ENROLLED)
    return machine


def follow(machine: StationMachine) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from steelyard.cli import main; main()", "station", "follow-card"],
        env=machine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_boot_with_a_new_card_brings_it(tmp_path: Path) -> None:
    """Root leaves word, the SmartBox's user follows, and the next boot has nothing to say."""
    machine = enrolled(tmp_path)
    assert machine.reboot().faults == []
    assert not machine.places.following.exists()
    machine.write_card(make_card(network={"proxy": PROXY}, time_zone="Europe/Madrid"), CA)
    assert machine.reboot().faults == []
    assert section(machine.places.smartbox_config).get("proxy_url") is None
    config = machine.places.smartbox_config
    assert follow(machine) == (0, f"{config} follows the card\n")
    assert section(config)["proxy_url"] == PROXY
    assert follow(machine) == (0, f"{config} followed the card\n")
    assert machine.prepare().faults == []
    assert not machine.places.following.exists()


def test_a_configuration_that_cannot_be_read_is_told_at_the_boot(tmp_path: Path) -> None:
    """And the machine becomes what the card says all the same."""
    machine = enrolled(tmp_path)
    machine.places.smartbox_config.write_text("[smartbox\n")
    (fault,) = machine.reboot().faults
    assert "smartbox.toml is no TOML" in fault
    assert machine.names == ["north-box", "north-box"]


def test_without_word_from_root_there_is_nothing_to_follow(tmp_path: Path) -> None:
    """Nor with something else in its place."""
    machine = enrolled(tmp_path)
    code, said = follow(machine)
    assert (code, "following.json cannot be read: No such file" in said) == (1, True)
    machine.places.following.write_text("{}")
    code, said = follow(machine)
    assert (code, "was not written by `steelyard station prepare`" in said) == (1, True)
