"""What a root and an initramfs are made of, on tiny trees."""

import os
import stat

import pytest

from image_kit import needs
from infra.images.definition import IMAGES, read_definition
from infra.images.errors import ImageProblem
from infra.images.finish import DATA, LEFTOVERS, _set_passwords, _split_data, remove_leftovers
from infra.images.initramfs import _cpio, chosen, depends_on
from infra.images.inside import Inside, check_emulation, programs
from infra.images.trees import clamp_times

TABLE = """kernel/fs/fat/vfat.ko.xz: kernel/fs/fat/fat.ko.xz
kernel/fs/fat/fat.ko.xz:
kernel/drivers/net/foo.ko.xz: kernel/lib/bar.ko.xz
kernel/lib/bar.ko.xz:
"""


@pytest.fixture
def root(tmp_path):
    """Something like a root after a build."""
    root = tmp_path / "root"
    for name in ("etc/ssh", "var/log/apt", "tmp", "var/tmp", "run", "boot", "dev", "root/.ansible"):
        (root / name).mkdir(parents=True)
    for name in (
        *(
            "etc/ssh/ssh_host_ed25519_key",
            "etc/ssh/ssh_host_ed25519_key.pub",
            "etc/ssh/sshd_config",
        ),
        *("etc/machine-id", "var/log/dpkg.log", "root/.ansible/x", "tmp/x", "etc/shadow-"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    return root


def test_nothing_of_the_build_or_of_one_station_is_left(root):
    """Host keys, the machine's id, logs, what Ansible and dpkg left."""
    remove_leftovers(root)
    assert [one.name for one in (root / "etc/ssh").iterdir()] == ["sshd_config"]
    assert (root / "etc/machine-id").read_text() == ""
    assert [one.name for one in (root / "var/log").rglob("*")] == ["apt"]
    assert list((root / "tmp").iterdir()) == []
    assert not any(os.path.lexists(root / one) for one in LEFTOVERS if one != "etc/resolv.conf")
    assert (root / "etc/resolv.conf").is_symlink()


def test_nobody_has_a_password(root):
    """Whatever the account had, and whenever it was made."""
    (root / "etc/shadow").write_text(
        "root:$y$x:20000:0:99999:7:::\nbin:*:20000::::::\nnew::1::::::\n"
    )
    _set_passwords(root, 86_400 * 100)
    assert (root / "etc/shadow").read_text() == (
        "root:!:100:0:99999:7:::\nbin:*:100::::::\nnew:!:100::::::\n"
    )


def test_what_data_begins_with_is_kept_aside(root):
    """And where it is used there is a place for it, as it was."""
    kept = root / "var/lib/steelyard/home"
    kept.mkdir(parents=True)
    (root / "var/lib/steelyard").chmod(0o711)
    _split_data(root)
    assert (root / "usr/share/steelyard/data/lib/home").is_dir()
    assert list((root / "var/lib/steelyard").iterdir()) == []
    assert stat.S_IMODE((root / "var/lib/steelyard").stat().st_mode) == 0o711
    assert {one.name for one in (root / "usr/share/steelyard/data").iterdir()} == set(DATA)


def test_every_directory_of_data_is_mounted():
    """In fstab each is there, and all of them wait for their directories."""
    lines = [line.split() for line in (IMAGES / "files/etc/fstab").read_text().splitlines()]
    bound = {line[0]: line for line in lines if line[0].startswith("/data/")}
    assert {f"/data/{name}": f"/{place}" for name, place in DATA.items()} == {
        name: line[1] for name, line in bound.items()
    }
    assert all("x-systemd.requires=steelyard-data.service" in line[3] for line in bound.values())


def test_no_file_is_younger_than_the_build(tmp_path):
    """Older ones stay as old as they are."""
    (tmp_path / "new").write_text("x")
    (tmp_path / "old").write_text("x")
    os.utime(tmp_path / "old", (1000, 1000))
    clamp_times(tmp_path, 1_000_000)
    assert (tmp_path / "new").stat().st_mtime == 1_000_000
    assert (tmp_path / "old").stat().st_mtime == 1000


def test_drivers_come_with_what_they_need():
    """One that is built into the kernel is no file; one that is neither is a mistake."""
    table = depends_on(TABLE)
    assert chosen(table, [], ["fs/fat/*"]) == [
        "kernel/fs/fat/fat.ko.xz",
        "kernel/fs/fat/vfat.ko.xz",
    ]
    assert chosen(table, ["kernel/drivers/x.ko"], ["drivers/x", "drivers/net/foo"]) == [
        "kernel/drivers/net/foo.ko.xz",
        "kernel/lib/bar.ko.xz",
    ]
    with pytest.raises(ImageProblem, match="no module drivers/y"):
        chosen(table, [], ["drivers/y"])


@needs("cpio")
def test_an_archive_is_the_same_whenever_it_is_made(tmp_path):
    """Whatever the inodes of its files are."""
    archives = []
    for name, order in (("one", "ab"), ("two", "ba")):
        tree = tmp_path / name
        tree.mkdir()
        for letter in order:
            (tree / letter).write_text(letter)
        clamp_times(tree, 1000)
        archives.append(_cpio(tree))
    assert archives[0] == archives[1]


def test_without_an_emulator_it_is_said_what_is_missing(monkeypatch, tmp_path):
    """Also where the handler is there, and would look for its program inside the root."""
    handler = tmp_path / "qemu-aarch64"
    monkeypatch.setattr("infra.images.inside._BINFMT", handler)
    with pytest.raises(ImageProblem, match="qemu-user-static"):
        check_emulation()
    handler.write_text("enabled\ninterpreter /usr/bin/x\nflags: OC\n")
    with pytest.raises(ImageProblem, match="qemu-user-static"):
        check_emulation()
    handler.write_text("enabled\ninterpreter /usr/bin/x\nflags: PF\n")
    check_emulation()


def test_programs_are_covered_by_their_own_kind_and_nothing_stays(root, tmp_path):
    """Scripts and what the root has not are left alone; on arm64 nothing is covered at all."""
    tools = tmp_path / "tools"
    for tree in (tools, root):
        for name in ("usr/bin", "usr/sbin", "usr/lib/apt", "usr/lib/openssh", "usr/lib/systemd"):
            (tree / name).mkdir(parents=True)
        for name in ("usr/bin/sed", "usr/bin/dpkg", "usr/sbin/ldconfig"):
            (tree / name).write_bytes(b"\x7fELF of some kind")
        (tree / "usr/bin/script").write_text("#!/bin/sh\n")
    (tools / "usr/bin/other").write_bytes(b"\x7fELF")
    (root / "usr/bin/other").symlink_to("sed")
    assert programs(tools, root) == ["usr/bin/sed"]
    inside = Inside(tools)
    assert f"{tools}/usr/bin/sed {root}/usr/bin/sed none bind,ro 0 0\n" in inside.cover(root)
    (root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (root / "usr/lib64").mkdir()
    (root / "lib64").symlink_to("usr/lib64")
    inside.leave(root)
    assert list((root / "usr").rglob("*64*")) == []
    assert not (root / "lib64").is_symlink()
    assert Inside(None).cover(root) == ""
    assert Inside(None).environment == {}


def test_a_fault_in_the_definition_is_one_sentence(tmp_path):
    """With the file's name."""
    path = tmp_path / "station.toml"
    with pytest.raises(ImageProblem, match=r"station\.toml"):
        read_definition(path)
    path.write_text((IMAGES / "station.toml").read_text() + "\n[other]\nx = 1\n")
    with pytest.raises(ImageProblem, match="other"):
        read_definition(path)
