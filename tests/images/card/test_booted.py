"""The image in an emulated board: it comes up, is closed, and remembers what it must."""

import json
import re
import subprocess
import time
import urllib.request

import pytest
import testinfra

from board_card import LEASES, LISTENERS, open_ports
from board_units import CONFINED, DEBIAN_S, MOST_EXPOSED, NOT_CONFINED
from board_updates import READY
from infra.images.archive import file_sha256
from infra.images.emulator import PAGE

# A start under emulation on a busy machine.
SECONDS = 1800
UNITS = (
    "ssh.service",
    "systemd-timesyncd.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "steelyard-first-boot.service",
)
# Done, and their doing stays.
DONE = ("nftables.service", "steelyard-data.service", "steelyard-station-prepare.service")
HOST_KEY = "/data/steelyard/ssh/ssh_host_ed25519_key"


def page(board):
    """What the first boot's page says, from the network; an emulated board takes its time."""
    url = f"http://127.0.0.1:{board.host_port(PAGE)}/state.json"
    ends = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(1)


@pytest.fixture(scope="module")
def started(board):
    """The board, ready for the first time, with its page."""
    board.start()
    board.wait_for(READY, SECONDS)
    page(board)
    return board


@pytest.fixture(scope="module")
def station(started, operator):
    """The station as testinfra sees it, over SSH."""
    options = started.directory / "ssh_config"
    started.ssh(operator, "true")
    options.write_text(
        f"Host station\n HostName 127.0.0.1\n Port {started.ssh_port}\n User root\n"
        f" IdentityFile {operator}\n UserKnownHostsFile {started.directory / 'known_hosts'}\n"
        " ControlMaster auto\n ControlPersist 600\n"
        f" ControlPath {started.directory}/control\n"
    )
    return testinfra.get_host("ssh://station", ssh_config=str(options), timeout=120)


def test_it_comes_up_in_slot_a(started, station):
    """Nothing failed; the time that it took is shown."""
    found = re.search(r"ready after ([\d.]+) s, root-a is well", started.said())
    assert found is not None
    print(f"\nboot to ready in the emulator: {found[1]} s of the board's clock")
    assert station.check_output("systemctl list-units --failed --plain --no-legend") == ""
    told = json.loads(station.check_output("steelyard-slot status"))
    assert (told["running"], told["next"], told["state"]) == ("a", "a", "good")


def test_only_what_is_meant_listens(station):
    """SSH, the first boot's page, and the station's name; the SmartBox is not there yet."""
    ports = open_ports(station.check_output(LISTENERS))
    wanted = {("tcp", "22"), ("tcp", "8190"), ("udp", "5353")}
    assert wanted <= ports <= wanted | LEASES


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_station_needs_runs(station, unit):
    """Enabled, and running."""
    assert station.service(unit).is_running


@pytest.mark.parametrize("unit", DONE)
def test_what_a_boot_does_is_done(station, unit):
    """And is not undone."""
    assert station.check_output(f"systemctl is-active {unit}") == "active"


def test_it_is_what_its_card_says(started, station):
    """Name and network; also by mDNS, and the page says what it waits for."""
    assert station.check_output("hostname") == "yard-box"
    assert station.check_output("resolvectl query --legend=no yard-box.local") != ""
    told = station.check_output("networkctl status --json=short --all")
    files = [one.get("NetworkFile") for one in json.loads(told)["Interfaces"]]
    assert "/run/systemd/network/10-steelyard-wired.network" in files
    shown = page(started)
    assert (shown["station"], shown["claim"]) == ("yard", "01234567")
    assert shown["state"]["phase"] in ("waiting-for-network", "platform-unreached")


def test_the_card_keeps_its_code_until_it_is_used(station):
    """Under the eyes of root alone."""
    assert station.file("/boot/firmware/steelyard/station.json").mode & 0o077 == 0
    assert station.file("/data/steelyard/station/station.json").mode == 0o600
    assert "0123" not in station.file("/data/steelyard/station/station.json").content_string


def test_the_smartbox_waits_for_its_station(station):
    """It is enabled, and not failed: its condition is not met."""
    said = station.check_output(
        "systemctl show -p ActiveState -p ConditionResult steelyard-smartbox.service"
    )
    assert "ActiveState=inactive" in said
    assert "ConditionResult=no" in said
    assert station.service("steelyard-smartbox").is_enabled


def test_the_root_is_read_only_and_what_is_written_is_forgotten(station):
    """Under a tmpfs, with the squashfs below."""
    said = station.check_output("findmnt -no FSTYPE,OPTIONS /")
    assert said.startswith("overlay")
    assert "lowerdir=/lower" in said
    assert "ro" in station.check_output("findmnt -no OPTIONS /boot/firmware").split(",")


def test_data_is_journalled_and_fills_the_card(station):
    """It was checked, and has grown at the first start: the card is of 3 GiB."""
    check = "systemd-fsck@dev-steelyard-data.service"
    said = station.check_output(f"systemctl show -p Result -p ActiveState {check}")
    assert said.splitlines() == ["Result=success", "ActiveState=active"]
    kind, size = station.check_output("findmnt -bno FSTYPE,SIZE /data").split()
    assert kind == "ext4"
    assert int(size) > 1_500_000_000
    assert "has_journal" in station.check_output("dumpe2fs -h /dev/steelyard/data 2>/dev/null")
    for place in ("/etc/steelyard", "/var/lib/steelyard", "/var/lib/systemd"):
        assert station.check_output(f"findmnt -no SOURCE {place}").startswith("/dev/"), place


def test_the_journal_is_in_memory(station):
    """And what matters of it is kept, bounded."""
    assert station.check_output("find /var/log/journal -type f | wc -l") == "0"
    assert station.check_output("find /run/log/journal -type f | wc -l") != "0"
    station.check_output("systemctl start steelyard-keep-log.service")
    assert station.file("/data/log/kept.log").exists


def test_no_unit_is_more_exposed_than_it_was(station):
    """Ours by what they are for, Debian's by what was measured; every unit that is loaded."""
    said = station.check_output("systemd-analyze security --no-pager --json=short")
    found = {one["unit"]: float(one["exposure"]) for one in json.loads(said)}
    most = dict.fromkeys(CONFINED, MOST_EXPOSED) | dict.fromkeys(NOT_CONFINED, 10.0) | DEBIAN_S
    assert {unit: level for unit, level in found.items() if level > most.get(unit, 0)} == {}
    assert {"steelyard-first-boot.service", "ssh.service", "dbus.service"} <= set(found)
    print(f"\nexposure in a started board: {dict(sorted(found.items()))}")


def test_the_kernel_s_clock_is_what_the_smartbox_says(station):
    """Where no time server keeps it: two hours behind are made good, by the boot's own clock."""
    script = (
        "install -d -o steelyard -g steelyard -m 0750 /run/steelyard/smartbox && "
        "right=$(date +%s) && date --utc --set @$((right - 7200)) >/dev/null && "
        "up=$(cut -d ' ' -f 1 /proc/uptime | tr -d .)0 && "
        "cd /run/steelyard/smartbox && echo ${right}000 $up >time.new && chmod 0600 time.new && "
        "chown steelyard time.new && mv time.new time && "
        "for _ in $(seq 60); do [ $(date +%s) -ge $right ] && break; sleep 1; done; "
        "echo $(($(date +%s) - right)) $(systemctl is-failed steelyard-clock.service)"
    )
    passed, failed = station.check_output(script).split()
    assert 0 <= int(passed) <= 65
    assert failed != "failed"
    # It says so when the clock is set; whole seconds are compared, and some pass on the way.
    said = "journalctl --quiet --no-pager -u steelyard-clock.service"
    wanted = "the clock was (7199|720[01]) s behind"
    station.check_output(
        f"for _ in $(seq 60); do {said} | grep -qE '{wanted}' && exit; sleep 1; done; exit 1"
    )


def test_the_watchdog_is_fed(station):
    """By systemd, from a real device."""
    assert station.check_output("systemctl show -p RuntimeWatchdogUSec --value") == "14s"
    assert station.check_output("systemctl show -p WatchdogDevice --value") != ""


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("/data", "/data: Is a directory"),
        ("/data/none", "/data/none: No such file or directory"),
        ("/etc/os-release", "this is no update"),
    ],
)
def test_what_is_no_update_is_refused_in_a_sentence(station, place, told):
    """And the slots are as they were."""
    said = station.run(f"steelyard-slot install {place}")
    assert (said.rc, said.stderr.strip()) == (1, f"steelyard-slot: {told}")
    assert json.loads(station.check_output("steelyard-slot status"))["state"] == "good"


def test_it_remembers_who_it_is(started, station, operator):
    """Host key and machine's id are those of the first start, after a cut of the power."""
    ask = f"cat {HOST_KEY}.pub /etc/machine-id"
    before = started.ssh(operator, ask)
    started.ssh(operator, "touch /root/forgotten /data/kept; sync")
    started.cut()
    started.start()
    started.wait_for(READY, SECONDS)
    assert started.ssh(operator, ask) == before
    assert started.ssh(operator, "ls /root/forgotten /data/kept 2>/dev/null; true").split() == [
        "/data/kept"
    ]


def test_a_stuck_board_is_started_again_by_its_watchdog(started, operator):
    """When nobody feeds it any more: systemd has crashed, and stands still."""
    began = time.monotonic()
    started.ssh(operator, "nohup sh -c 'sleep 1; kill -SEGV 1' >/dev/null 2>&1 &")
    started.wait_for_reset(300)
    print(f"\nreset by the watchdog after {time.monotonic() - began:.0f} s")
    started.start()
    started.wait_for(READY, SECONDS)


def test_a_data_partition_with_an_error_is_mended_by_a_start(started, operator):
    """From then on it can only be read: the board starts again by itself, and checks it."""
    fault = (
        "echo a test of the station >/sys/fs/ext4/vda4/trigger_fs_error; "
        "touch /data/log 2>/dev/null && echo writable; true"
    )
    assert started.ssh(operator, fault) == ""
    started.ssh(
        operator,
        "nohup sh -c 'sleep 1; systemctl start steelyard-data-writable' >/dev/null 2>&1 &",
    )
    started.wait_for("/data cannot be written any more", 120)
    started.wait_for_reset(300)
    started.start()
    started.wait_for(READY, SECONDS)
    started.ssh(operator, "touch /data/log")
    state = started.ssh(operator, "dumpe2fs -h /dev/steelyard/data 2>/dev/null")
    assert re.search(r"^Filesystem state: +clean$", state, re.MULTILINE), state
    assert "FS Error count" not in state
    ask = "systemctl show -p NextElapseUSecMonotonic --value steelyard-data-writable.timer"
    assert started.ssh(operator, ask).strip() not in {"", "infinity"}


@pytest.fixture
def plugged(started, tmp_path):
    """Another card with the same labels in the board, which starts with it."""
    started.cut()
    other = tmp_path / "other.img"
    subprocess.run(["cp", "--sparse=always", started.card, other], check=True)
    before = file_sha256(other)
    started.other_cards.append(other)
    started.start()
    started.wait_for(READY, SECONDS)
    yield other, before
    started.cut()
    started.other_cards.clear()


def test_another_station_s_card_is_left_alone(started, operator, plugged):
    """Nothing of it is used, whichever of the two the label leads to, and nothing is written."""
    other, before = plugged
    label = "/dev/disk/by-label/steelyard-data"
    print(f"\nby its label data would be {started.ssh(operator, f'readlink -f {label}').strip()}")
    assert started.ssh(operator, "blkid -o value -s LABEL /dev/vdb4").strip() == "steelyard-data"
    for place, device in (("/boot/firmware", "/dev/vda1"), ("/data", "/dev/vda4")):
        assert started.ssh(operator, f"findmnt -no SOURCE {place}").strip() == device
    told = started.ssh(operator, "systemctl show steelyard-station-grow -p Result,ActiveState")
    assert told.split() == ["Result=success", "ActiveState=active"]
    started.cut()
    assert file_sha256(other) == before
