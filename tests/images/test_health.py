"""Whether a station is well, by what the programs of its machine say."""

import pytest

from infra.images.station import commands
from infra.images.station.before import Before
from infra.images.station.health import Health, has_network, look

ADDRESS = "2: end0    inet 192.0.2.7/24 metric 1024 brd 192.0.2.255 scope global dynamic end0\\"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Lets programs say something, and end with a status."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")

    def says(name, lines, status=0):
        path = place / name
        path.write_text(f'#!/bin/sh\ncase "$*" in\n{lines}\nesac\nexit {status}\n')
        path.chmod(0o755)
        return path

    says("systemctl", "'is-active multi-user.target') echo active ;;")
    says("ip", f"'-oneline address show up scope global') echo '{ADDRESS}' ;;")
    return says


@pytest.fixture
def station(machine, tmp_path):
    """The configuration of an enrolled station, and its program."""
    configuration = tmp_path / "smartbox.toml"
    configuration.touch()
    program = machine("steelyard", "*) echo running ;;")
    return configuration, program


def test_a_station_that_answers_is_well(station):
    """With its network or without a question about it."""
    assert look(*station, network=True) == Health(True)
    assert look(*station) == Health(True)


def test_a_station_that_is_not_enrolled_has_nobody_who_answers(machine, tmp_path):
    """Its program is not asked."""
    assert look(tmp_path / "none", tmp_path / "no-program", network=True) == Health(True)


def test_a_system_that_is_not_up_is_not_well(machine, station):
    """Whatever else there is."""
    machine("systemctl", "*) echo activating ;;", 3)
    assert look(*station).reason == "multi-user.target is not reached"


def test_units_that_failed_are_named(machine, station):
    """All of them."""
    failed = "list-units*) echo 'a.service loaded failed failed A'; echo 'b.timer loaded x' ;;"
    machine("systemctl", f"is-active*) echo active ;;\n{failed}")
    assert look(*station) == Health(False, "failed: a.service b.timer")


def test_a_smartbox_that_does_not_answer_is_not_well(machine, station):
    """With what it said."""
    machine("steelyard", "*) echo 'nobody listens' >&2 ;;", 1)
    assert look(*station).reason == "the SmartBox does not answer: nobody listens"


@pytest.mark.parametrize("said", [("*) ;;", 0), ("*) echo 'Cannot open netlink socket' >&2 ;;", 1)])
def test_a_machine_without_an_address_has_no_network(machine, station, said):
    """Which matters only where it is asked."""
    machine("ip", *said)
    assert not has_network()
    assert look(*station) == Health(True)
    assert look(*station, network=True).reason.startswith("no interface has an address")


@pytest.mark.parametrize(
    ("trial", "before", "well"), [(True, True, False), (False, True, True), (True, False, True)]
)
def test_only_a_root_on_trial_answers_for_the_network(
    machine, tmp_path, monkeypatch, trial, before, well
):
    """And only where there was one before."""
    machine("ip", "*) ;;")
    for name in ("CONFIGURATION", "BEFORE"):
        monkeypatch.setattr(commands, name, tmp_path / name.lower())
    Before(before).write(tmp_path / "before")
    assert commands._look(trial).well is well


@pytest.mark.parametrize("network", [True, False])
def test_what_was_there_before_is_remembered(tmp_path, network):
    """Whole: what an interrupted note left is written over."""
    (tmp_path / "before.json.new").write_text("{")
    Before(network).write(tmp_path / "before.json")
    assert Before.read(tmp_path / "before.json") == Before(network)
    assert [one.name for one in tmp_path.iterdir()] == ["before.json"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"network": "yes"}', "\u00e9"])
def test_what_cannot_be_read_asks_for_nothing(tmp_path, text):
    """A note that an older root did not write keeps no good root from being kept."""
    path = tmp_path / "before.json"
    if text is not None:
        path.write_text(text)
    assert Before.read(path) == Before(False)
