"""An update is tried once: a good one is kept, whatever else goes back by itself."""

import json
import os
import subprocess
import threading
from contextlib import contextmanager

import pytest

from board_updates import (
    READY,
    SECONDS,
    break_python,
    break_systemd,
    fail_a_unit,
    goes_back,
    install,
    status,
    take_the_network,
)
from infra.images.station.slot_file import SlotFile
from plays import PLAYBOOK, ROOT


@pytest.fixture
def ready(board):
    """The board, ready."""
    if not board.running:
        board.start()
        board.wait_for(READY, SECONDS)
    return board


@contextmanager
def restarting(board):
    """A board that starts again when it resets, as a real one does."""
    ended = threading.Event()

    def watch():
        while not ended.wait(0.5):
            if not board.running:
                board.start()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def play(board, operator, update, directory, later=()):
    """Run playbooks/update-stations.yml on the board."""
    inventory = directory / "inventory.json"
    station = {
        "ansible_host": "127.0.0.1",
        "ansible_port": board.ssh_port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(operator),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={board.directory}/known_hosts",
    }
    # Nobody answers for the later ones.
    hosts = {"yard": station} | {name: station | {"ansible_port": 9} for name in later}
    group = {"steelyard_appliances": {"hosts": hosts}}
    inventory.write_text(json.dumps({"all": {"children": group}}))
    return subprocess.run(
        [
            *(PLAYBOOK, "-i", inventory, "playbooks/update-stations.yml"),
            "-e",
            f"update_bundle={update}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_TIMEOUT": "120"},
    )


def test_the_play_brings_a_station_to_another_version(ready, operator, make, tmp_path):
    """It runs from the other slot, also after the power was cut; once more, nothing is done."""
    assert status(ready, operator)["running"] == "a"
    update = make("9.1", lambda tree: None)
    with restarting(ready):
        done = play(ready, operator, update, tmp_path)
    assert done.returncode == 0, done.stdout
    told = status(ready, operator)
    assert (told["running"], told["next"], told["state"], told["version"]) == (
        *("b", "b", "good", "9.1"),
    )
    again = play(ready, operator, update, tmp_path)
    assert "changed=0" in again.stdout, again.stdout
    ready.cut()
    assert ready.next_slot() == SlotFile("b")
    ready.start()
    ready.wait_for("root-b is well", SECONDS)


def test_the_play_stops_where_a_station_went_back(ready, operator, make, tmp_path):
    """A unit fails: when the trial's time is over the station starts the old root by itself.

    The station after it is not asked for anything.
    """
    before = status(ready, operator)
    with restarting(ready):
        done = play(ready, operator, make("9.2", fail_a_unit), tmp_path, later=["quay"])
    assert done.returncode != 0
    assert "quay" not in done.stdout, done.stdout
    told = f"was not well with version 9.2, and went back to {before['version']}"
    assert told in done.stdout, done.stdout
    told = status(ready, operator)
    assert (told["running"], told["version"]) == (before["running"], before["version"])
    assert "root-a is not well, the other is started: failed: broken.service" in ready.ssh(
        operator, "cat /data/log/kept.log"
    )


def test_a_root_without_a_network_is_left(ready, operator, make):
    """It had one before: nobody could reach the station any more."""
    said = "the other is started: no interface has an address beyond its link"
    goes_back(ready, operator, make("9.6", take_the_network), said)


def test_a_root_that_does_not_start_is_left_at_once(ready, operator, make):
    """Nothing in it is needed for the way back."""
    before = status(ready, operator)
    install(ready, operator, make("9.3", break_systemd))
    trial = ready.next_slot()
    assert trial.state == f"try {trial.next}"
    ready.start()
    ready.wait_for_reset(SECONDS)
    assert ready.next_slot() == SlotFile(before["running"], f"tried {trial.next}")
    ready.start()
    ready.wait_for(READY, SECONDS)
    told = status(ready, operator)
    assert (told["running"], told["version"]) == (before["running"], before["version"])


def test_a_root_that_cannot_say_how_it_is_is_left(ready, operator, make):
    """What watches it is Python, and does not run; and the start hangs before local-fs.target."""
    said = "nothing has said that it is well, the other is started"
    goes_back(ready, operator, make("9.5", break_python), said)


def test_power_that_is_cut_while_an_update_is_tried_goes_back(ready, operator, make):
    """Nobody has said that it is well."""
    before = status(ready, operator)
    install(ready, operator, make("9.4", lambda tree: None))
    ready.start()
    ready.wait_for("without a word from it", SECONDS)
    ready.cut()
    assert ready.next_slot().next == before["running"]
    ready.start()
    ready.wait_for(READY, SECONDS)
    assert status(ready, operator)["version"] == before["version"]


def test_a_kept_root_that_cannot_be_read_gives_way(ready, operator, make, layout):
    """Its sectors are worn out: what was there before it is better than no station.

    It is started a second time, for the fault might pass; then the other one is tried.
    """
    install(ready, operator, make("9.7", lambda tree: None))
    ready.start()
    ready.wait_for(READY, SECONDS)
    before = status(ready, operator)
    other = {"a": "b", "b": "a"}[before["running"]]
    assert (before["version"], before["state"]) == ("9.7", "good")
    ready.cut()
    number = {"a": 1, "b": 2}[before["running"]]
    with ready.card.open("r+b") as card:
        card.seek(layout.starts[number] << 20)
        card.write(bytes(1 << 20))
    for left in (
        SlotFile(before["running"], before["state"]),
        SlotFile(other, f"try {other}"),
    ):
        ready.start()
        ready.wait_for(f"root-{before['running']} cannot be read", SECONDS)
        ready.wait_for_reset(300)
        assert ready.next_slot() == left
    ready.start()
    ready.wait_for(f"root-{before['running']} could not be read at the start before", SECONDS)
    ready.wait_for(READY, SECONDS)
    assert ready.ssh(operator, "ls /boot/firmware/steelyard").split().count("unread") == 0
    told = status(ready, operator)
    assert (told["running"], told["next"], told["state"]) == (other, other, "good")
