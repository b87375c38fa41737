"""Each boot's part that is root's: whenever the power goes, the next boot goes on rightly."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from station_kit import (
    CODE,
    OTHER_CODE,
    WIFI,
    PowerCut,
    StationMachine,
    make_card,
    power_cut_at,
)
from steelyard.station.errors import MachineRefuses
from steelyard.station.preparing import finish

CA = b"-----BEGIN CERTIFICATE-----\n"


@pytest.fixture
def machine(tmp_path: Path) -> StationMachine:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not here: install openssh-client")
    made = StationMachine(tmp_path)
    made.write_card(make_card(ssh_keys=[f"ssh-ed25519 {'A' * 68} ana"]), CA)
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_machine_becomes_what_its_card_says(machine: StationMachine) -> None:
    """Name, network, keys; secrets are for root."""
    done = machine.prepare()
    assert done.faults == []
    assert machine.names == ["north-box"]
    run, data = machine.settings.run_directory, machine.settings.data_directory
    assert "DHCP=yes" in (run / "network" / "10-steelyard-wired.network").read_text()
    assert WIFI["passphrase"] in machine.places.wifi.read_text()
    assert (data / "ssh" / "authorized_keys").read_text() == f"ssh-ed25519 {'A' * 68} ana\n"
    key = data / "ssh" / "ssh_host_ed25519_key"
    assert b"OPENSSH PRIVATE KEY" in key.read_bytes()
    told = json.loads(machine.settings.told_file.read_bytes())
    assert told["card"]["claim"] == CODE
    # Whoever asks the platform, and shows a page to everybody, needs no Wi-Fi's secret.
    assert told["card"]["network"]["wifi"] is None
    assert told["authority"] == CA.decode()
    assert machine.kept() == make_card(ssh_keys=[f"ssh-ed25519 {'A' * 68} ana"]).without_claim()
    secrets = (machine.places.wifi, key, machine.settings.told_file)
    assert {mode(path) for path in (*secrets, machine.places.kept / "station.json")} == {0o600}
    # Not enrolled yet: the card keeps its code.
    assert CODE.encode() in machine.on_boot()["station.json"]


def test_later_boots_need_no_card(machine: StationMachine) -> None:
    """The keys stay, and so do network and name."""
    machine.prepare()
    key = machine.places.ssh / "ssh_host_ed25519_key"
    first = key.read_bytes()
    machine.enrol()
    finish(machine.places)
    assert machine.reboot().faults == []
    assert key.read_bytes() == first
    assert WIFI["passphrase"] in machine.places.wifi.read_text()
    assert machine.names == ["north-box", "north-box"]


def test_secrets_are_wiped_after_their_use(machine: StationMachine) -> None:
    """Overwritten where they stood, and not before the SmartBox is enrolled."""
    machine.prepare()
    with pytest.raises(MachineRefuses, match="is not enrolled"):
        finish(machine.places)
    machine.enrol()
    same = machine.directory / "the-same-blocks"
    os.link(machine.places.card / "station.json", same)
    finish(machine.places)
    assert set(same.read_bytes()) == {0}
    found = machine.on_boot()
    assert set(found) == {"ca.pem", "station-taken.txt"}
    assert not machine.settings.told_file.exists()
    assert CODE.encode() not in b"".join(found.values())
    finish(machine.places)


def test_a_new_card_for_an_enrolled_station_changes_its_network(machine: StationMachine) -> None:
    """Its claim code is not used, and wiped with the rest."""
    machine.prepare()
    machine.enrol()
    finish(machine.places)
    wired = {"address": "10.1.0.2/24"}
    machine.write_card(make_card(network={"wired": wired}, claim=OTHER_CODE), CA)
    assert machine.reboot().faults == []
    network = machine.settings.network_directory
    assert "Address=10.1.0.2/24" in (network / "10-steelyard-wired.network").read_text()
    assert not (network / "10-steelyard-wifi.network").exists()
    assert not machine.places.wifi.exists()
    assert set(machine.on_boot()) == {"ca.pem", "station-taken.txt"}
    assert "Address=10.1.0.2/24" in network.joinpath("10-steelyard-wired.network").read_text()


@pytest.mark.parametrize("enrolled", [False, True])
def test_a_wrong_card_changes_nothing_and_stays(machine: StationMachine, enrolled: bool) -> None:
    """The sentence is told; what was kept holds."""
    machine.prepare()
    if enrolled:
        machine.enrol()
    path = machine.places.card / "station.json"
    path.write_text('{"version": 1, "station": "x"}')
    done = machine.reboot()
    (fault,) = done.faults
    assert done.told.fault == fault
    assert "host_name: is missing" in fault
    assert done.told.card is not None
    assert done.told.card.host_name == "north-box"
    assert path.exists()


def test_without_any_card_the_machine_still_gets_its_key(machine: StationMachine) -> None:
    """And is told that there is none."""
    shutil.rmtree(machine.places.card)
    done = machine.prepare()
    assert (done.faults, done.told.card, done.told.fault) == ([], None, None)
    assert (machine.places.ssh / "ssh_host_ed25519_key").exists()


def test_a_card_without_an_authority_is_told(machine: StationMachine) -> None:
    """By the file's name."""
    (machine.places.card / "ca.pem").unlink()
    assert "ca.pem is missing" in machine.prepare().faults[0]


def test_a_data_partition_that_fails_leaves_the_card_whole(
    machine: StationMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not kept is not wiped."""
    shutil.rmtree(machine.places.kept)
    machine.enrol()
    done = machine.prepare()
    assert any("cannot be written" in fault for fault in done.faults)
    assert CODE.encode() in machine.on_boot()["station.json"]
    assert machine.names == ["north-box"]


def cut_everywhere(
    make: Callable[[int], StationMachine],
    work: Callable[[StationMachine], object],
    look: Callable[[StationMachine], None],
) -> int:
    """On a machine each, cut the power at each durable operation in turn, look, and boot again.

    Gives how many operations there are.
    """
    for number in range(1, 200):
        machine = make(number)
        try:
            with power_cut_at(number):
                work(machine)
        except PowerCut:
            look(machine)
            assert machine.reboot().faults == []
            look(machine)
            continue
        return number - 1
    raise AssertionError("it never ends")


def fresh(directory: Path) -> StationMachine:
    made = StationMachine(directory)
    made.write_card(make_card(), CA)
    return made


def test_the_power_may_go_while_the_machine_is_prepared(tmp_path: Path) -> None:
    """The card stays whole, a host key is whole or not there, and the next boot does the rest."""

    def look(machine: StationMachine) -> None:
        assert CODE.encode() in machine.on_boot()["station.json"]
        key = machine.places.ssh / "ssh_host_ed25519_key"
        assert not key.exists() or b"END OPENSSH" in key.read_bytes()

    def make(number: int) -> StationMachine:
        return fresh(tmp_path / str(number))

    cuts = cut_everywhere(make, StationMachine.prepare, look)
    assert cuts > 15
    for number in range(1, cuts + 1):
        machine = StationMachine(tmp_path / str(number))
        assert machine.kept() == make_card().without_claim()
        assert machine.places.wifi.exists()
        assert machine.settings.told_file.exists()


@pytest.mark.parametrize("by_boot", [False, True])
def test_the_power_may_go_while_the_secrets_are_wiped(tmp_path: Path, by_boot: bool) -> None:
    """The next boot goes on: then no secret is left, and all is kept."""
    whole = make_card().as_json()

    def make(number: int) -> StationMachine:
        machine = fresh(tmp_path / str(number))
        machine.prepare()
        machine.enrol()
        return machine

    def look(machine: StationMachine) -> None:
        # Under its own name the file is whole, so that no boot takes it for a wrong card.
        assert machine.on_boot().get("station.json", whole) == whole
        assert machine.kept().network.wifi is not None

    cuts = cut_everywhere(
        make, StationMachine.reboot if by_boot else lambda one: finish(one.places), look
    )
    assert cuts > 5
    for number in range(1, cuts + 1):
        left = StationMachine(tmp_path / str(number)).on_boot()
        assert set(left) == {"ca.pem", "station-taken.txt"}


def test_a_wiping_that_was_interrupted_goes_on_whatever_is_left(machine: StationMachine) -> None:
    """Half of the file is zeros, and the data partition was made anew."""
    (machine.places.card / "station.json").rename(machine.places.card / "station.used")
    assert machine.prepare().faults == []
    assert set(machine.on_boot()) == {"ca.pem", "station-taken.txt"}
