"""A SmartBox and its load cells, as their roles leave them, at a platform on another machine."""

import json
import time
import tomllib
from pathlib import Path

import pytest
from scenario import assert_confined, machine, run_play, said

UNITS = ("steelyard-smartbox", "steelyard-loadcell@LC-1", "steelyard-loadcell@LC-2")
STATUS = (
    "/opt/steelyard/station/current/venv/bin/steelyard smartbox status"
    " --config /etc/steelyard/smartbox.toml"
)


@pytest.fixture(scope="module")
def box():
    """The station's machine."""
    return machine("smartbox-box")


@pytest.fixture(scope="module")
def platform():
    """The platform's machine."""
    return machine("smartbox-platform")


def registered(box) -> int:
    """Tickets with a receipt."""
    return json.loads(box.check_output(STATUS))["tickets"].get("registered", 0)


def test_every_weighing_of_the_cells_becomes_a_ticket_with_a_receipt(box):
    """Over DTLS to the SmartBox, over HTTPS to the platform, into the ledger."""
    for _ in range(60):
        if registered(box) == 5:
            break
        time.sleep(1)
    assert registered(box) == 5, box.check_output(STATUS)
    program = STATUS.split(" ", maxsplit=1)[0]
    said = box.check_output(f"{program} alibi verify /var/lib/steelyard/smartbox")
    assert "5" in said


def test_units_run_and_are_enabled(box):
    """Also the cell whose serial no file can have."""
    for name in UNITS:
        assert box.service(name).is_running
        assert box.service(name).is_enabled


def test_units_are_confined(box):
    """systemd-analyze's exposure is at most 2.5."""
    for name in UNITS:
        assert_confined(box, name)


def test_the_client_secret_is_roots_and_nowhere_else(box, platform):
    """The same on both machines; not in the configuration, an environment or a log."""
    kept = box.file("/etc/steelyard/smartbox.secret")
    assert (kept.user, kept.mode) == ("root", 0o600)
    given = platform.file("/etc/steelyard/platform/secrets/station-north.secret")
    assert kept.content_string == given.content_string
    shown = box.file("/etc/steelyard/smartbox.toml").content_string
    shown += box.run("journalctl -o cat --no-pager").stdout
    number = box.check_output("systemctl show -P MainPID steelyard-smartbox")
    shown += box.run(f"tr '\\0' ' ' < /proc/{number}/environ").stdout
    assert kept.content_string.strip() not in shown


@pytest.mark.parametrize(("terminal", "status"), [("T-1", 0), ("T-2", 2)])
def test_a_terminal_with_tickets_keeps_its_serial(box, terminal, status):
    """The role refuses another, by name, before it changes anything."""
    assert box.file("/var/lib/steelyard/smartbox/alibi.memory").size > 0
    play = Path(__file__).with_name("other_terminal.yml")
    done = run_play(play, "-e", f"terminal={terminal}")
    assert done.returncode == status, done.stdout
    if status:
        assert "cannot become terminal T-2 of north" in said(done)


def test_a_killed_smartbox_loses_nothing(box):
    """It comes back by itself, with the same tickets."""
    box.check_output("systemctl kill -s KILL steelyard-smartbox")
    for _ in range(30):
        if box.run(STATUS).rc == 0:
            break
        time.sleep(1)
    assert registered(box) == 5


def test_the_inventorys_settings_are_in_force(box):
    """How long weighings are kept, and how much of the disk is not for them."""
    told = tomllib.loads(box.file("/etc/steelyard/smartbox.toml").content_string)["smartbox"]
    assert (told["alibi_years"], told["reserve_bytes"]) == (12, 33_554_432)
