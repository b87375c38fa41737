"""playbooks/image.yml and update-stations.yml tell what is wrong before it costs time."""

import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path

import pytest

from plays import ROOT, run_checkout

MIB = 1 << 20
HOUR = 3600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def play(name: str, inventory: str | Path, told: dict) -> tuple[int, str]:
    """A run on this computer, as whoever runs the test; what it says, on one line."""
    words = ("-i", inventory, f"playbooks/{name}.yml")
    more = json.dumps({"ansible_become": False} | told)
    # By ssh it is so for stations.
    return run_checkout(*words, "-e", more, ANSIBLE_PIPELINING="1")


@pytest.mark.parametrize("kind", ["nothing", "directory"])
def test_a_key_that_is_not_there_is_told_before_anything_is_built(tmp_path, kind):
    """By the variable's name and the path."""
    key = tmp_path / "key.pem"
    if kind == "directory":
        key.mkdir()
    # The directory cannot be made: whatever the play does, it builds nothing.
    work = tmp_path / "work"
    work.write_text("in its place")
    told = {"image_signing_key": str(key), "image_work": str(work)}
    code, said = play("image", "localhost,", told)
    assert code != 0
    assert f"image_signing_key: {key} is no file" in said
    assert "TASK [Make the working directory]" not in said


@pytest.mark.parametrize("kind", ["link", "relative"])
def test_a_key_is_found_as_the_last_step_finds_it(tmp_path, kind):
    """By a link to it; and a relative path is the checkout's."""
    key, work = tmp_path / "key.pem", tmp_path / "work"
    key.write_text("key")
    (tmp_path / "link.pem").symlink_to(key)
    named = {"link": str(tmp_path / "link.pem"), "relative": os.path.relpath(key, ROOT)}[kind]
    # The directory cannot be made: the play ends there.
    work.write_text("in its place")
    told = {"image_signing_key": named, "image_work": str(work)}
    code, said = play("image", "localhost,", told)
    assert code != 0
    assert "is no file" not in said
    assert "TASK [Make the working directory]" in said


def test_relative_paths_are_the_checkout_s(tmp_path):
    """For what the play makes itself, as for the commands that it runs; more is not built."""
    told = {name: os.path.relpath(tmp_path / name, ROOT) for name in ("work", "bundle.tar")}
    (tmp_path / "key.pem").write_text("key")
    code, said = play(
        "image",
        "localhost,",
        {
            "image_signing_key": str(tmp_path / "key.pem"),
            "image_work": told["work"],
            "image_station_bundle": told["bundle.tar"],
            "image_snapshot": "no-snapshot",
        },
    )
    assert code != 0
    assert "image_snapshot must be a URL that ends in a snapshot's date" in said
    roles_told = json.loads((tmp_path / "work/variables.json").read_text())
    assert Path(roles_told["service_python_bundle"]).is_absolute()
    assert Path(roles_told["service_python_bundle"]).resolve() == tmp_path / "bundle.tar"


class Station:
    """A station that is this computer, as far as the update's copy; its slots are a script."""

    def __init__(self, directory: Path) -> None:
        self.place = directory / "data/update"
        self.place.parent.mkdir()
        self._calls = directory / "calls"
        self._program = directory / "slot"
        self._program.write_text(
            f"""#!/bin/sh
echo "$@" >> {self._calls}
case $1 in
status) echo '{{"version": "1"}}' ;;
install) test -s "$2" && echo "not installed by a test" >&2; exit 1 ;;
esac
"""
        )
        self._program.chmod(0o755)
        self.bundle = directory / "2.update"
        with tarfile.open(self.bundle, "w") as tar:
            for name, content in (("manifest.json", b'{"version": "2"}'), ("root", bytes(MIB))):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        self._inventory = directory / "inventory.json"
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        group = {"steelyard_appliances": {"hosts": {"yard": host}}}
        self._inventory.write_text(json.dumps({"all": {"children": group}}))

    def update(self, **told: object) -> tuple[int, str]:
        """Run the playbook."""
        own = {
            "update_program": str(self._program),
            "update_place": str(self.place),
            "update_bundle": str(self.bundle),
            "update_reserve_bytes": MIB,
        }
        return play("update-stations", self._inventory, own | told)

    @property
    def was_brought(self) -> bool:
        """Whether it came as far as installing."""
        return f"install {self.place}/bundle" in self._calls.read_text()


@pytest.fixture
def station(tmp_path) -> Station:
    return Station(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for the owner of what is brought")
@pytest.mark.parametrize("kind", ["link", "relative"])
def test_a_station_that_was_never_updated_takes_one(station, tmp_path, kind):
    """Nothing has made the directory there; and the update is named as the documents do it."""
    (tmp_path / "link.update").symlink_to(station.bundle)
    named = {"link": tmp_path / "link.update", "relative": os.path.relpath(station.bundle, ROOT)}
    code, said = station.update(update_bundle=str(named[kind]))
    assert code != 0
    assert "not installed by a test" in said
    assert station.was_brought
    assert list(station.place.iterdir()) == []
    assert station.place.stat().st_mode & 0o777 == 0o700


def test_what_an_interrupted_run_left_is_removed_once_nobody_copies_it(station):
    """Ansible's own directory of a run that goes on is younger."""
    left = [station.place / name for name in ("ansible-tmp-1-old", "ansible-tmp-2-new", "other")]
    for one in left:
        one.mkdir(parents=True)
        (one / "source").write_bytes(b"x")
    (station.place / "bundle").write_bytes(b"x")
    for one in (left[0], left[2], station.place / "bundle"):
        os.utime(one, (time.time() - 2 * HOUR,) * 2)
    code, said = station.update(update_reserve_bytes=1 << 60)
    assert code != 0
    assert sorted(one.name for one in station.place.iterdir()) == ["ansible-tmp-2-new", "other"]
    assert not station.was_brought, said


def test_an_update_without_room_is_not_brought(station, tmp_path):
    """The station's name, what is free and what is needed; the link's own size is not the need."""
    (tmp_path / "link.update").symlink_to(station.bundle)
    code, said = station.update(
        update_bundle=str(tmp_path / "link.update"), update_reserve_bytes=1 << 60
    )
    assert code != 0
    assert "yard has " in said
    needed = ((1 << 60) + station.bundle.stat().st_size) // MIB
    assert f"MiB free on its data partition, and the update needs {needed}:" in said
    assert not station.was_brought
    assert list(station.place.iterdir()) == []


def test_a_station_is_reached_as_root_and_without_sudo(tmp_path):
    """By an inventory that says nothing of it: an image has neither another account nor sudo."""
    heard = tmp_path / "heard"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{heard}\nexit 255\n')
    ssh.chmod(0o755)
    bundle = tmp_path / "2.update"
    with tarfile.open(bundle, "w") as tar:
        tar.addfile(tarfile.TarInfo("manifest.json"))
    inventory = tmp_path / "inventory.json"
    host = {"ansible_host": "192.0.2.1", "ansible_ssh_executable": str(ssh)}
    group = {"steelyard_appliances": {"hosts": {"yard": host}}}
    inventory.write_text(json.dumps({"all": {"children": group}}))
    told = {"update_bundle": str(bundle), "update_wait_seconds": 0}
    # As somebody who has another name.
    words = ("-i", inventory, "playbooks/update-stations.yml", "-e", json.dumps(told))
    run_checkout(*words, "--user", "operator")
    said = heard.read_text()
    assert 'User="root"' in said
    assert "/bin/sh -c '/usr/bin/python3 && sleep 0'" in said
