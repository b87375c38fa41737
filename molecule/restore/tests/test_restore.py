"""A node's machine is destroyed and comes back from its backup; its customer reads every ticket.

The tests are one story, in this order.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from consortia import (
    ROOT,
    Api,
    Machines,
    lasting,
    nodes,
    public_keys,
    receipts,
    rpc,
    smartbox,
    starts,
    wait_for,
)
from scenario import must_run, run_play, said

HERE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
PLAYBOOKS = ROOT / "playbooks"
PASSWORD = "/etc/steelyard-backup/data.password"  # noqa: S105 - a place


@pytest.fixture(scope="module")
def machines():
    return Machines()


@pytest.fixture(scope="module")
def customer(machines, tmp_path_factory):
    return Api(machines, "hub", tmp_path_factory.mktemp("api"), "user@customer-1.example")


@pytest.fixture(scope="module")
def admin(machines):
    return next(one for one in nodes(machines) if one["host"] == "acme")


@pytest.fixture(scope="module")
def story():
    """What one test leaves for the next."""
    return {}


def act_on_machine(action: str, *arguments: str) -> None:
    """What happens to a machine from outside."""
    command = [sys.executable, "-m", "infra.machines", action]
    directory = ["--directory", str(HERE / "machines")]
    subprocess.run(  # noqa: S603 - our own arguments
        [*command, *directory, *arguments], cwd=ROOT, check=True, capture_output=True
    )


def test_a_backup_is_made_one_host_at_a_time(machines, customer, admin, story):
    """By the operator's play; the node is back before the next host has its turn."""
    wait_for("twenty tickets", lambda: customer.count() >= 20)
    before = starts(machines, [admin])
    told = must_run(PLAYBOOKS / "backup.yml")
    assert "WITHOUT BACKUP: field" in told
    assert starts(machines, [admin]) != before
    listed = machines["acme"].check_output(
        "/opt/steelyard/server/current/venv/bin/steelyard backup list "
        f"--config /etc/steelyard-backup/backup.toml node-{admin['name']}"
    )
    assert listed
    # An operator keeps a copy of the password elsewhere.
    escrow = HERE / "weighings/escrow"
    escrow.write_text(machines["acme"].file(PASSWORD).content_string)
    escrow.chmod(0o600)
    story["at backup"] = {one["ticketID"] for one in customer.every_ticket()}
    story["lasting"] = lasting(machines, nodes(machines))
    story["keys"] = public_keys(machines, admin)
    story["certificate"] = machines["acme"].file("/etc/steelyard/pki/node.pem").sha256sum


def test_tickets_come_after_the_backup(customer, story):
    """Their payloads are in no backup of the admin node."""
    enough = len(story["at backup"]) + 20
    wait_for("twenty tickets more", lambda: customer.count() >= enough)
    story["at loss"] = {one["ticketID"] for one in customer.every_ticket()}


def test_the_machine_is_lost(machines, story):
    """Without warning, with its disk. The network goes on, and the station keeps what it weighs."""
    act_on_machine("kill", "acme")
    act_on_machine("remove", "acme")
    hub = nodes_of_hub(machines)[0]
    head = int(rpc(machines, hub, "eth_blockNumber"), 16)
    wait_for("blocks", lambda: int(rpc(machines, hub, "eth_blockNumber"), 16) > head + 3)
    wait_for("queued tickets", lambda: smartbox(machines, "field")["tickets"]["queued"] > 0)
    assert story["at loss"] >= story["at backup"]


def test_a_new_machine_takes_its_place(machines, story, admin):
    """From its backup, with the same keys; what came after the backup is asked of the others."""
    act_on_machine("up", "--machines", str(HERE / "machines/machines.json"))
    # The controller's old connection ends with the first word to the new machine.
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    subprocess.run(  # noqa: S603 - our own arguments
        ["ansible", "-i", inventory, "acme", "-m", "ping"],  # noqa: S607 - of this environment
        check=False,
        capture_output=True,
    )
    must_run(ROOT / "molecule/restore/access.yml", "-e", f"molecule_ephemeral_directory={HERE}")
    told = must_run(PLAYBOOKS / "restore.yml", "-e", "host=acme")
    assert f"node-{admin['name']}" in told
    assert lasting(machines, nodes(machines)) == story["lasting"]
    assert public_keys(machines, admin) == story["keys"]
    assert machines["acme"].file("/etc/steelyard/pki/node.pem").sha256sum != story["certificate"]


def test_the_certificate_that_was_lost_is_revoked(machines):
    """Whoever finds the disk is nobody."""
    listed = machines["hub"].check_output(
        "/opt/steelyard/server/current/venv/bin/steelyard pki show "
        "--authority /var/lib/steelyard-authorities/consortium"
    )
    states = [line for line in listed.splitlines() if "acme" in line]
    assert len([line for line in states if "revoked" in line]) == 1
    assert len([line for line in states if "valid" in line]) == 1


def test_the_customer_reads_what_was_before(customer, story):
    """Those in the backup, and those whose payloads came back from the station's node."""
    found = {one["ticketID"] for one in customer.every_ticket()}
    assert story["at loss"] - found == set()


def test_every_weighing_becomes_a_ticket(machines, customer):
    """Also those that waited at the station: nothing is lost, nothing is twice."""
    wait_for("all 300 tickets", lambda: customer.count() == 300, 1200)
    found = [one["ticketID"] for one in customer.every_ticket()]
    assert len(set(found)) == len(found) == 300
    assert set(found) == receipts(machines, "field")


def test_both_parties_have_the_same(machines, customer):
    """The contract's private state at the admin's node is that of the station's."""
    station = customer.management("/v1/stations")["items"][0]
    contract = customer.management(f"/v1/stations/{station['id']}/contract")["contract_address"]
    parties = [one for one in nodes(machines) if one["customer"]]
    roots = {rpc(machines, one, "eth_storageRoot", contract, "latest") for one in parties}
    assert len(parties) == 2
    assert len(roots) == 1
    assert roots != {
        rpc(machines, nodes_of_hub(machines)[0], "eth_storageRoot", contract, "latest")
    }


def test_the_node_votes_again(machines, admin):
    """It is among the validators, with all peers."""
    voting = {one.lower() for one in rpc(machines, admin, "istanbul_getValidators", "latest")}
    assert public_keys(machines, admin)["address"].lower() in voting
    assert int(rpc(machines, admin, "net_peerCount"), 16) == len(nodes(machines)) - 1


def test_one_set_may_be_restored_beside_what_lives(machines):
    """Never over it: that wants force, and the play says so."""
    done = run_play(PLAYBOOKS / "restore.yml", "-e", "host=acme", "-e", "set=genesis")
    assert done.returncode != 0
    assert "--force puts it aside" in said(done)
    assert machines["acme"].service("steelyard-gateway").is_running


def nodes_of_hub(machines):
    """The network's own nodes."""
    return [one for one in nodes(machines) if one["host"] == "hub"]
