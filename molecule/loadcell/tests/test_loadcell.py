"""Load cells on a machine of their own, and a SmartBox whose platform is away."""

import json
import time
from pathlib import Path

import pytest
from scenario import assert_confined, machine, run_play

STATUS = (
    "/opt/steelyard/station/current/venv/bin/steelyard smartbox status"
    " --config /etc/steelyard/smartbox.toml"
)


@pytest.fixture(scope="module")
def cells():
    """The cells' machine."""
    return machine("loadcell-cells")


def test_all_weights_reach_the_smartbox(cells):
    """And become tickets, which wait for the platform."""
    del cells
    box = machine("loadcell-box")
    tickets: dict[str, int] = {}
    for _ in range(60):
        tickets = json.loads(box.check_output(STATUS))["tickets"]
        if sum(tickets.values()) == 5:
            break
        time.sleep(1)
    assert sum(tickets.values()) == 5, tickets
    assert tickets.get("registered", 0) == 0


def test_units_run_confined_and_are_enabled(cells):
    """One a cell."""
    for name in ("steelyard-loadcell@LC-1", "steelyard-loadcell@LC-2"):
        assert cells.service(name).is_running
        assert cells.service(name).is_enabled
        assert_confined(cells, name)


def test_keys_are_roots(cells):
    """The services get them as credentials."""
    for name in ("LC-1", "LC-2"):
        key = cells.file(f"/etc/steelyard/pki/{name}.key")
        assert (key.user, key.mode) == ("root", 0o600)


def test_a_killed_cell_goes_on_where_it_was(cells):
    """Its position is on the disk; nothing is sent twice as another weighing."""
    cells.check_output("systemctl kill -s KILL steelyard-loadcell@LC-1")
    for _ in range(30):
        if cells.service("steelyard-loadcell@LC-1").is_running:
            break
        time.sleep(1)
    assert cells.service("steelyard-loadcell@LC-1").is_running
    assert cells.file("/var/lib/steelyard/loadcell/LC-1/position").size > 0


def test_a_cell_that_is_no_longer_listed_is_stopped(cells):
    """Its configuration goes, its position stays."""
    play = Path(__file__).with_name("fewer_cells.yml")
    done = run_play(play)
    assert done.returncode == 0, done.stdout
    assert not cells.service("steelyard-loadcell@LC-2").is_running
    assert not cells.service("steelyard-loadcell@LC-2").is_enabled
    assert not cells.file("/etc/steelyard/loadcell/LC-2.toml").exists
    assert cells.file("/var/lib/steelyard/loadcell/LC-2/position").exists
    assert cells.service("steelyard-loadcell@LC-1").is_running
