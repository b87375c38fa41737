"""A station's boots, as role first_boot leaves them: what root does, what waits, what follows."""

import json
import time

import pytest
from scenario import assert_confined, machine

STEELYARD = "/opt/steelyard/station/current/venv/bin/steelyard"
PREPARE, FOLLOW, FIRST, FINISH, SMARTBOX = (
    "steelyard-station-prepare",
    "steelyard-station-follow",
    "steelyard-first-boot",
    "steelyard-station-finish",
    "steelyard-smartbox",
)
CARD = "/boot/firmware/steelyard/station.json"
ENROLMENT = "/data/steelyard/smartbox/enrolment"


@pytest.fixture(scope="module")
def box():
    """The station's machine, at its first boot."""
    found = machine("first-boot-bookworm")
    authority = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=t -days 2 "
        "-keyout /dev/null -out /boot/firmware/steelyard/ca.pem"
    )
    found.check_output(authority)
    found.check_output(f"systemctl restart {PREPARE} && systemctl restart {FIRST}")
    return found


def state(box) -> dict:
    """What the page tells; it takes a moment to come."""
    for _ in range(60):
        done = box.run("curl --silent --fail http://127.0.0.1:8190/state.json")
        if done.rc == 0 and (told := json.loads(done.stdout)) is not None:
            return told
        time.sleep(1)
    raise AssertionError(box.check_output(f"journalctl --no-pager -u {FIRST} | tail -20"))


def test_the_machine_is_what_its_card_says(box):
    """Host name, network and keys; what is secret is root's."""
    assert box.check_output("hostname") == "north-box"
    assert box.file("/run/systemd/network/10-steelyard-wired.network").contains("DHCP=yes")
    for path in (
        "/run/steelyard/wifi/wpa_supplicant.conf",
        "/data/steelyard/station/station.json",
        "/data/steelyard/ssh/ssh_host_ed25519_key",
    ):
        assert (box.file(path).user, box.file(path).mode) == ("root", 0o600)
    assert box.run("sshd -t -f /etc/ssh/sshd_config").rc == 0


def test_it_waits_and_shows_why(box):
    """The SmartBox is not started; nothing shows the secret part of the code."""
    told = state(box)
    assert told["state"]["phase"] in ("waiting-for-network", "platform-unreached")
    assert (told["station"], told["claim"]) == ("north", "01234567")
    assert "north-box" in box.check_output(f"{STEELYARD} station status")
    assert not box.service(SMARTBOX).is_running
    shown = box.check_output(f"journalctl --no-pager -u {FIRST} -u {PREPARE}")
    assert "CDEF" not in shown
    assert "phrase of the yard" not in shown


@pytest.mark.parametrize("unit", [PREPARE, FOLLOW, FIRST, FINISH, SMARTBOX])
def test_what_runs_is_confined(box, unit):
    """As every unit of ours."""
    assert_confined(box, unit)


@pytest.mark.parametrize("unit", ["steelyard-station-grow", "steelyard-wifi@wlan0"])
def test_what_needs_devices_is_confined_as_far_as_that_lets_it(box, unit):
    """The card's partition table, and a radio."""
    assert_confined(box, unit)


def test_the_units_are_in_order(box):
    """By systemd's own check."""
    units = (PREPARE, FOLLOW, FIRST, FINISH, SMARTBOX)
    paths = [f"/etc/systemd/system/{unit}.service" for unit in units]
    grow = "/etc/systemd/system/steelyard-station-grow.service"
    done = box.run(f"systemd-analyze verify --man=no {' '.join([*paths, grow])}")
    assert (done.rc, "steelyard" in done.stderr) == (0, False), done.stderr
    for unit in (PREPARE, FOLLOW, FIRST, SMARTBOX, "systemd-networkd"):
        assert box.service(unit).is_enabled
    assert not box.service("systemd-networkd-wait-online").is_enabled
    assert r"systemd-fsck@dev-disk-by\x2dlabel-data.service" in box.file(grow).content_string


def test_once_it_is_enrolled_the_card_is_wiped_and_the_smartbox_starts(box):
    """One after the other, by systemd; here the enrolment's files come from elsewhere."""
    box.check_output(
        f"install -d -o steelyard -g steelyard {ENROLMENT} && "
        f"install -o steelyard -g steelyard /dev/null {ENROLMENT}/smartbox.toml"
    )
    for _ in range(90):
        if not box.file(CARD).exists:
            break
        time.sleep(1)
    assert not box.file(CARD).exists
    assert box.file("/boot/firmware/steelyard/station-taken.txt").exists
    assert not box.service(FIRST).is_running
    assert "CDEF" not in box.check_output("cat /boot/firmware/steelyard/*")
    for _ in range(30):
        told = box.check_output(f"journalctl --no-pager -u {SMARTBOX}")
        if "smartbox.station" in told:
            break
        time.sleep(1)
    # It has started, and misses what such an enrolment does not have.
    assert "smartbox.station" in told
    box.check_output(f"systemctl stop {SMARTBOX}")


def test_at_the_next_boot_there_is_nothing_to_enrol(box):
    """The first boot's unit is passed over; the machine becomes what is kept."""
    box.check_output(f"hostname other && systemctl restart {PREPARE}")
    assert box.check_output("hostname") == "north-box"
    box.check_output(f"systemctl start {FIRST}")
    assert box.check_output(f"systemctl show --property=ConditionResult --value {FIRST}") == "no"


def test_a_new_card_s_proxy_comes_to_the_smartbox(box):
    """By its own user, whose file it stays."""
    config = f"{ENROLMENT}/smartbox.toml"
    box.check_output(f"echo '[smartbox]' >{config}")
    kept = json.loads(box.file("/data/steelyard/station/station.json").content_string)
    card = json.dumps({**kept, "network": {"proxy": "http://proxy.example:3128"}})
    box.check_output(f"echo '{card}' >{CARD} && systemctl restart {PREPARE}")
    box.check_output(f"systemctl start {FOLLOW}")
    assert 'proxy_url = "http://proxy.example:3128"' in box.file(config).content_string
    assert (box.file(config).user, box.file(config).mode) == ("steelyard", 0o644)
    box.check_output(f"systemctl restart {PREPARE} && systemctl start {FOLLOW}")
    assert box.check_output(f"systemctl show --property=ConditionResult --value {FOLLOW}") == "no"
