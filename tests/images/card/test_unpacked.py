"""The image as it is handed over, before it was ever started."""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import testinfra

from board_units import CONFINED, MOST_EXPOSED, NOT_CONFINED
from infra.images.finish import LEFTOVERS
from infra.images.lock import read_lock
from infra.images.programs import run
from infra.images.signing import verify

# Enabled by the roles, by Debian and by the definition; nothing else runs.
OWN = (
    "steelyard-smartbox.service",
    "steelyard-station-grow.service",
    "steelyard-station-prepare.service",
    "steelyard-station-follow.service",
    "steelyard-first-boot.service",
    "steelyard-slot.service",
    "steelyard-slot-end.timer",
    "steelyard-keep-log.timer",
    "steelyard-data-writable.timer",
    "steelyard-clock.path",
)
DEBIAN = (
    "ssh.service",
    "nftables.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
)
SETUID = {
    *("usr/bin/chfn", "usr/bin/chsh", "usr/bin/gpasswd", "usr/bin/mount", "usr/bin/newgrp"),
    *("usr/bin/passwd", "usr/bin/su", "usr/bin/umount", "usr/lib/openssh/ssh-keysign"),
    *("usr/lib/dbus-1.0/dbus-daemon-launch-helper", "usr/bin/expiry", "usr/bin/chage"),
    *("usr/bin/ssh-agent", "usr/sbin/unix_chkpwd"),
}


@pytest.fixture(scope="module")
def inside(unpacked):
    """The root as testinfra sees it, through programs that run under emulation."""
    return testinfra.get_host(str(unpacked), connection="chroot")


def files(root: Path):
    """Every file below."""
    return [one for one in root.rglob("*") if not one.is_symlink()]


def test_checksum_and_signature_are_the_image_s(built, image):
    """As a user verifies them."""
    summed = next(built.glob("*.img.xz.sha256"))
    run(["sha256sum", "--check", "--status", summed.name], directory=built)
    verify(built / "update-key.pem", summed, next(built.glob("*.img.xz.sha256.sig")))
    with subprocess.Popen(
        ["xz", "-dc", next(built.glob("*.img.xz"))], stdout=subprocess.PIPE
    ) as xz:
        subprocess.run(["cmp", "-", image], stdin=xz.stdout, check=True)


def test_a_card_written_by_the_block_map_is_the_image(built, image, tmp_path):
    """Its program checks each block's checksum as it writes."""
    card = tmp_path / "card"
    packed = next(built.glob("*.img.xz"))
    run(["bmaptool", "--quiet", "copy", "--bmap", next(built.glob("*.bmap")), packed, card])
    run(["cmp", card, image])


def test_the_list_of_software_is_the_lock_s(built):
    """Every package, and the application's own distributions."""
    told = json.loads(next(built.glob("*.spdx.json")).read_text())
    names = {one["name"] for one in told["packages"]}
    locked = read_lock()
    wanted = {one.name for use in ("root", "payload") for one in locked.used_for(use)}
    assert wanted <= names
    assert {"steelyard", "aiocoap", "cryptography"} <= names


def test_the_boot_partition_has_a_slot_that_boots(image):
    """Firmware, a kernel with its device trees for each board, and slot a."""
    at = f"{image}@@4M"
    listed = run(["mdir", "-/", "-b", "-i", at]).split()
    boards = ("bcm2837-rpi-3-b", "bcm2837-rpi-3-b-plus", "bcm2837-rpi-zero-2-w", "bcm2711-rpi-4-b")
    for name in ("start.elf", "start4.elf", "bootcode.bin", "config.txt", "a/vmlinuz", "a/initrd"):
        assert f"::/{name}" in listed, name
    for name in (*boards, "bcm2712-rpi-5-b"):
        assert f"::/a/{name}.dtb" in listed, name
    assert "steelyard.slot=a" in run(["mtype", "-i", at, "::a/cmdline.txt"])
    assert run(["mtype", "-i", at, "::slot.txt"]).startswith("os_prefix=a/")


def test_nobody_has_a_password(inside):
    """Nor is there a way in without a key."""
    for line in inside.file("/etc/shadow").content_string.splitlines():
        assert re.match(r"[!*]", line.split(":")[1]), line
    assert not inside.file("/root/.ssh/authorized_keys").exists
    said = inside.file("/etc/ssh/sshd_config.d/00-steelyard.conf").content_string
    assert "PasswordAuthentication no" in said
    assert "PermitRootLogin prohibit-password" in said


def test_nothing_is_one_station_s(unpacked):
    """No host key, no machine's id, no certificate, no random seed."""
    assert list((unpacked / "etc/ssh").glob("ssh_host_*")) == []
    assert (unpacked / "etc/machine-id").read_text() == ""
    assert not (unpacked / "var/lib/dbus/machine-id").exists()
    keys = [one for one in files(unpacked) if one.suffix in {".key", ".p12"}]
    assert keys == []
    assert not list(unpacked.glob("usr/share/steelyard/data/etc/pki/*"))


def test_nothing_of_the_build_is_left(unpacked):
    """No lists, caches, logs, nor a time after the build's."""
    # What a station writes was moved to what its data partition is made of.
    data = unpacked / "usr/share/steelyard/data"
    assert (data / "systemd").is_dir()
    place = "usr/share/steelyard/data/systemd"
    moved = [one.replace("var/lib/systemd", place) for one in LEFTOVERS]
    left = [
        one
        for one in (*LEFTOVERS, *moved)
        if one != "etc/resolv.conf" and (unpacked / one).exists()
    ]
    assert left == []
    assert [one for one in (unpacked / "var/log").rglob("*") if one.is_file()] == []
    assert list((unpacked / "tmp").iterdir()) == []
    epoch = read_lock().epoch
    assert [one for one in files(unpacked) if one.stat().st_mtime > epoch] == []
    assert not list(unpacked.glob("opt/steelyard/*/releases/*/wheels"))


def test_no_file_can_be_written_by_everyone(unpacked):
    """But for the directories that are meant for it."""
    wide = [
        one
        for one in files(unpacked)
        if one.stat().st_mode & stat.S_IWOTH and not one.stat().st_mode & stat.S_ISVTX
        if not stat.S_ISCHR(one.stat().st_mode)
    ]
    assert wide == []


def test_programs_with_others_rights_are_debian_s(unpacked):
    """None is ours, and none is unexpected."""
    found = {
        str(one.relative_to(unpacked))
        for one in files(unpacked)
        if one.is_file() and one.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    }
    assert found <= SETUID


def test_packages_are_whole_and_the_locked_ones(inside):
    """Debian's own check finds nothing to complain about."""
    assert inside.check_output("dpkg --audit") == ""
    told = inside.check_output("dpkg-query -W -f '${Package} ${Version}\\n'").splitlines()
    locked = {f"{one.name} {one.version}" for one in read_lock().used_for("root")}
    assert set(told) == locked


@pytest.mark.parametrize("unit", [*OWN, *DEBIAN])
def test_what_a_station_needs_is_enabled(inside, unit):
    """And nothing was started."""
    assert inside.check_output(f"systemctl is-enabled {unit}") == "enabled"


@pytest.mark.parametrize("unit", ["apt-daily.timer", "getty@.service", "serial-getty@.service"])
def test_what_a_station_has_no_use_for_is_masked(inside, unit):
    """It cannot be started by anything else either."""
    assert inside.run(f"systemctl is-enabled {unit}").stdout.strip() == "masked"


@pytest.fixture(scope="module")
def units(unpacked, tmp_path_factory):
    """The root's units alone, to which instances of templates may be added."""
    place = tmp_path_factory.mktemp("units")
    for name in ("etc/systemd", "usr/lib/systemd/system"):
        shutil.copytree(unpacked / name, place / name, symlinks=True)
    return place


@pytest.mark.parametrize("unit", CONFINED)
def test_what_can_be_confined_is(units, unit):
    """systemd-analyze's exposure is at most 2.5."""
    command = ["systemd-analyze", "security", "--offline=true", f"--root={units}", "--no-pager"]
    if "@" in unit:
        # The instance is what is looked at; a link gives it a name of its own.
        link = units / "etc/systemd/system" / unit
        link.symlink_to(f"{unit.partition('@')[0]}@.service")
    said = subprocess.run([*command, unit], capture_output=True, text=True, check=False).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level is not None, said
    assert float(level[1]) <= MOST_EXPOSED


def test_every_unit_of_ours_is_looked_at(unpacked):
    """A new one is either confined, or has its reason."""
    own = (unpacked / "etc/systemd/system").glob("steelyard-*.service")
    looked_at = {re.sub("@.*[.]", "@.", unit) for unit in CONFINED}
    assert {one.name for one in own} == looked_at | set(NOT_CONFINED)


def test_the_station_s_files_belong_to_the_same_number(inside):
    """On the data partition they outlast a root in which another package has taken one."""
    assert inside.check_output("id -u steelyard; id -g steelyard").split() == ["870", "870"]


def test_the_smartbox_waits_for_its_configuration(inside):
    """The unit is not started before first boot has written it."""
    said = inside.file("/etc/systemd/system/steelyard-smartbox.service").content_string
    assert "ConditionPathExists=/data/steelyard/smartbox/enrolment/smartbox.toml" in said


def test_the_application_runs_on_arm64(inside):
    """From binary wheels, with its own C extensions."""
    program = "/opt/steelyard/station/current/venv/bin"
    assert "smartbox" in inside.check_output(f"{program}/steelyard --help")
    command = f"{program}/python -c 'import aiocoap, cbor2, cryptography, OpenSSL, PIL, platform"
    said = inside.check_output(f"{command}; print(platform.machine())'")
    assert said == "aarch64"


def test_the_kernel_s_drivers_are_there(unpacked):
    """Also those of the network chips and the radio of each board."""
    (modules,) = (unpacked / "usr/lib/modules").iterdir()
    table = (modules / "modules.dep").read_text()
    for name in ("genet", "smsc95xx", "lan78xx", "macb", "brcmfmac", "bcm2835_wdt", "ext4"):
        assert re.search(rf"/{name}\.ko\S*:", table), name
    firmware = unpacked / "usr/lib/firmware/brcm"
    for name in ("43455-sdio.raspberrypi,5-model-b", "43430-sdio.raspberrypi,model-zero-2-w"):
        assert (firmware / f"brcmfmac{name}.txt").exists(), name
