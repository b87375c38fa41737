"""An update is tried once: a good one is kept, whatever else goes back by itself."""

import json
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager

import pytest

from infra.images.station.slot_file import SlotFile
from infra.images.update import make_update
from plays import PLAYBOOK, ROOT

READY = "steelyard: ready after"
SECONDS = 1800


@pytest.fixture(scope="module")
def signing_key(built):
    """The key that the image was signed with."""
    path = built.parent / "test-key.pem"
    if not path.exists():
        pytest.skip(f"needs the key of the build, {path} (make test-image)")
    return path


@pytest.fixture(scope="module")
def parts(image, layout, unpacked, tmp_path_factory):
    """The slot's files, and the root, to make other updates of."""
    slot = tmp_path_factory.mktemp("parts") / "slot"
    slot.mkdir()
    command = ["mcopy", "-s", "-m", "-i", f"{image}@@4M", "::a", str(slot)]
    subprocess.run(command, check=True)
    for one in (slot / "a").iterdir():
        one.rename(slot / one.name)
    (slot / "a").rmdir()
    return slot, unpacked


@pytest.fixture
def make(parts, signing_key, board_name, tmp_path):
    """Makes an update of the image's files, changed."""

    def make(version: str, change):
        slot, root = parts
        tree = tmp_path / "root"
        shutil.copytree(root, tree, symlinks=True)
        told = tree / "usr/share/steelyard/release.json"
        release = {**json.loads(told.read_text()), "version": version}
        told.write_text(json.dumps(release))
        change(tree)
        squashfs = tmp_path / "root.squashfs"
        options = [
            "-noappend",
            "-quiet",
            "-no-progress",
            "-comp",
            "zstd",
            "-Xcompression-level",
            "3",
        ]
        subprocess.run(["mksquashfs", tree, squashfs, *options], check=True)
        path = tmp_path / "made.update"
        make_update(
            path,
            squashfs=squashfs,
            slot=slot,
            key=signing_key,
            version=version,
            board=board_name,
            epoch=1_700_000_000,
        )
        return path

    return make


@pytest.fixture
def ready(board):
    """The board, ready."""
    if not board.running:
        board.start()
        board.wait_for(READY, SECONDS)
    return board


def install(board, operator, update):
    """Bring an update, and start it as the firmware does."""
    brought = "/data/by-hand.update"
    board.send(operator, update, brought)
    board.ssh(operator, f"steelyard-slot install {brought} && rm {brought}", seconds=900)
    board.ssh(operator, "nohup sh -c 'sleep 1; systemctl reboot' >/dev/null 2>&1 &")
    board.wait_for_reset(300)


def status(board, operator):
    """What the station says of its slots."""
    return json.loads(board.ssh(operator, "steelyard-slot status"))


def goes_back(board, operator, update, said):
    """Try an update, whose root says this and starts the old one by itself."""
    before = status(board, operator)
    install(board, operator, update)
    board.start()
    board.wait_for(said, SECONDS)
    board.wait_for_reset(300)
    assert board.next_slot().next == before["running"]
    board.start()
    board.wait_for(READY, SECONDS)
    assert status(board, operator)["version"] == before["version"]


def break_systemd(tree):
    """A root that has nothing to start."""
    (tree / "usr/lib/systemd/systemd").unlink()


def fail_a_unit(tree):
    """A root in which a unit fails."""
    units = tree / "etc/systemd/system"
    (units / "broken.service").write_text("[Service]\nExecStart=/bin/false\n")
    (units / "multi-user.target.wants/broken.service").symlink_to("../broken.service")
    shorten_trial(tree)


def take_the_network(tree):
    """A root without the driver of the board's network."""
    (driver,) = (tree / "usr/lib/modules").glob("*/kernel/drivers/net/virtio_net.ko*")
    driver.unlink()
    shorten_trial(tree)


def shorten_trial(tree):
    """So that it is over before the ten minutes of a real one."""
    program = tree / "usr/local/lib/steelyard/station_slots/commands.py"
    text = program.read_text()
    assert "_PATIENCE = 600.0" in text
    program.write_text(text.replace("_PATIENCE = 600.0", "_PATIENCE = 180.0"))


def break_python(tree):
    """A root in which no Python runs, nor so what would say that it is not well."""
    for one in (tree / "usr/bin").glob("python3*"):
        one.unlink()
    timer = tree / "etc/systemd/system/steelyard-slot-end.timer"
    text = timer.read_text()
    assert "OnBootSec=15min" in text
    timer.write_text(text.replace("OnBootSec=15min", "OnBootSec=3min"))


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


def play(board, operator, update, directory):
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
    group = {"steelyard_appliances": {"hosts": {"yard": station}}}
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
    """A unit fails: when the trial's time is over the station starts the old root by itself."""
    before = status(ready, operator)
    with restarting(ready):
        done = play(ready, operator, make("9.2", fail_a_unit), tmp_path)
    assert done.returncode != 0
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
    """What watches it is Python, and does not run."""
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
