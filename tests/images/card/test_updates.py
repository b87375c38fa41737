"""An update is tried once: a good one is kept, whatever else goes back by itself."""

import json
import shutil
import subprocess

import pytest

from infra.images.station.slot_file import SlotFile
from infra.images.update import make_update

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
    board.send(operator, update, "/data/update")
    board.ssh(operator, "steelyard-slot install /data/update && rm /data/update", seconds=900)
    board.ssh(operator, "nohup sh -c 'sleep 1; systemctl reboot' >/dev/null 2>&1 &")
    board.wait_for_reset(300)


def status(board, operator):
    """What the station says of its slots."""
    return json.loads(board.ssh(operator, "steelyard-slot status"))


def test_a_good_update_is_kept(ready, operator, make):
    """It runs from the other slot, also after the power was cut."""
    assert status(ready, operator)["running"] == "a"
    install(ready, operator, make("9.1", lambda tree: None))
    assert ready.next_slot() == SlotFile("b", "try b")
    ready.start()
    ready.wait_for("root-b is well, and is kept", SECONDS)
    told = status(ready, operator)
    assert (told["running"], told["next"], told["state"], told["version"]) == (
        *("b", "b", "good", "9.1"),
    )
    ready.cut()
    ready.start()
    ready.wait_for("root-b is well", SECONDS)


@pytest.mark.parametrize(
    "broken", ["usr/lib/systemd/systemd", "usr/lib/systemd/system/multi-user.target"]
)
def test_a_broken_update_goes_back_by_itself(ready, operator, make, broken):
    """One that does not start, and one that never becomes well."""
    before = status(ready, operator)
    install(ready, operator, make("9.2", lambda tree: (tree / broken).unlink()))
    trial = ready.next_slot()
    assert trial.state == f"try {trial.next}"
    ready.start()
    ready.wait_for_reset(SECONDS)
    assert ready.next_slot() == SlotFile(before["running"], f"tried {trial.next}")
    ready.start()
    ready.wait_for(READY, SECONDS)
    told = status(ready, operator)
    assert (told["running"], told["version"]) == (before["running"], before["version"])


def test_power_that_is_cut_while_an_update_is_tried_goes_back(ready, operator, make):
    """Nobody has said that it is well."""
    before = status(ready, operator)
    install(ready, operator, make("9.3", lambda tree: None))
    ready.start()
    ready.wait_for("without a word from it", SECONDS)
    ready.cut()
    assert ready.next_slot().next == before["running"]
    ready.start()
    ready.wait_for(READY, SECONDS)
    assert status(ready, operator)["version"] == before["version"]
