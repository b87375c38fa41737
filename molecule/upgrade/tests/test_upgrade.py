"""A running consortium gets new versions, host by host; one that does not start stops at the first.

The tests are one story, in this order.
"""

import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from consortia import (
    ROOT,
    Api,
    Machines,
    lasting,
    nodes,
    receipts,
    rpc,
    starts,
    wait_for,
)
from scenario import must_run, run_play, said

HERE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
PLAYBOOKS = ROOT / "playbooks"
PROGRAM = "/opt/steelyard/{}/current/venv/bin/steelyard"
NEXT = [
    *("-e", f"steelyard_server_bundle={HERE}/dist/steelyard-0.1.1-server-py3.11-x86_64.tar"),
    *("-e", f"steelyard_station_bundle={HERE}/dist/steelyard-0.1.1-station-py3.11-x86_64.tar"),
    *("-e", "quorum_version=24.4.1-next"),
    *("-e", "tessera_version=20.10.1-next"),
]


@pytest.fixture(scope="module")
def machines():
    return Machines()


@pytest.fixture(scope="module")
def members(machines):
    return nodes(machines)


@pytest.fixture(scope="module")
def customer(machines, tmp_path_factory):
    return Api(machines, "hub", tmp_path_factory.mktemp("api"), "user@customer-1.example")


@pytest.fixture(scope="module")
def made(machines, members):
    """Genesis and keys, before anything is upgraded."""
    return lasting(machines, members)


def away(machines, member) -> tuple[datetime, datetime]:
    """When a node stopped for the last time, and when it was back."""
    told = machines[member["host"]].check_output(
        "systemctl show --timestamp=us+utc --property=InactiveEnterTimestamp,ActiveEnterTimestamp "
        f"steelyard-quorum-{member['name']}.service"
    )
    times = dict(line.split("=", 1) for line in told.splitlines())
    stopped, back = (
        datetime.strptime(times[key], "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
        for key in ("InactiveEnterTimestamp", "ActiveEnterTimestamp")
    )
    return stopped, back


def test_a_program_that_does_not_run_stops_at_the_first_host(machines, members, made, customer):
    """The others are not touched, and the chain goes on without the one."""
    wait_for("tickets", lambda: customer.count() > 5)
    broken = HERE / "broken-geth"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    before = starts(machines, members)
    arguments = ("-e", f"quorum_path={broken}", "-e", "quorum_version=broken")
    done = run_play(PLAYBOOKS / "upgrade.yml", *arguments, "-e", "quorum_wait_seconds=30")
    assert done.returncode != 0
    after = starts(machines, members)
    touched = {unit for unit in before if before[unit] != after[unit]}
    assert touched
    assert {unit.split("-", 2)[2] for unit in touched} == {"network-1"}
    rest = [one for one in members if one["host"] != "first"]
    head = int(rpc(machines, rest[0], "eth_blockNumber"), 16)
    # A dead proposer's turn is a round change of four seconds or more, and machines share cores.
    wait_for("blocks", lambda: int(rpc(machines, rest[0], "eth_blockNumber"), 16) > head + 3)
    count = customer.count()
    wait_for("a ticket", lambda: customer.count() > count)
    assert lasting(machines, members) == made


def test_a_network_that_is_not_whole_is_not_upgraded(machines, members):
    """Another node away could be one too many: nothing is changed."""
    before = starts(machines, [one for one in members if one["host"] != "first"])
    done = run_play(PLAYBOOKS / "upgrade.yml", *NEXT)
    assert done.returncode != 0
    assert "network-1" in said(done)
    assert starts(machines, [one for one in members if one["host"] != "first"]) == before


def test_the_good_version_brings_it_back(machines, members):
    """site.yml heals the one host, and restarts nobody else."""
    rest = [one for one in members if one["host"] != "first"]
    before = starts(machines, rest)
    must_run(PLAYBOOKS / "site.yml")
    assert starts(machines, rest) == before
    for one in members:
        assert int(rpc(machines, one, "net_peerCount"), 16) == len(members) - 1


def test_everything_is_upgraded_one_host_at_a_time(machines, members, made, customer):
    """Engines and application; tickets flow on."""
    count = customer.count()
    before = starts(machines, members)
    must_run(PLAYBOOKS / "upgrade.yml", *NEXT)
    after = starts(machines, members)
    assert all(before[unit] != after[unit] for unit in before)
    hosts: dict[str, list[tuple[datetime, datetime]]] = {}
    for one in members:
        hosts.setdefault(one["host"], []).append(away(machines, one))
    spans = sorted(
        (min(stop for stop, _ in found), max(back for _, back in found)) for found in hosts.values()
    )
    for (_, back), (stopped, _) in pairwise(spans):
        assert back < stopped
    assert customer.count() >= count
    assert lasting(machines, members) == made


def test_every_service_runs_the_new_release(machines):
    """None was forgotten: their processes are of the release that is current."""
    for host, bundle, units in (
        ("first", "server", ["gateway"]),
        ("hub", "server", ["gateway", "management-api", "tickets-api"]),
        ("acme", "server", ["gateway"]),
        ("acme", "station", ["smartbox"]),
    ):
        box = machines[host]
        assert box.check_output(PROGRAM.format(bundle) + " --version").split()[-1] == "0.1.1"
        release = box.check_output(f"readlink -f /opt/steelyard/{bundle}/current")
        for unit in units:
            pid = box.check_output(
                f"systemctl show --property=MainPID --value steelyard-{unit}.service"
            )
            assert release in box.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")


def test_nothing_was_lost(machines, customer):
    """All weighings are tickets, each once."""
    wait_for("all 300 tickets", lambda: customer.count() == 300, 1200)
    found = [one["ticketID"] for one in customer.every_ticket()]
    assert len(set(found)) == len(found) == 300
    assert set(found) == receipts(machines, "acme")
