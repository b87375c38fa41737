"""A customer and a station join a running network while tickets flow; then the station leaves.

The tests are one story, in this order.
"""

import json

import pytest
from consortia import (
    ROOT,
    Api,
    Machines,
    describe,
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

PLAYBOOKS = ROOT / "playbooks"
CUSTOMER_1, CUSTOMER_2 = "user@customer-1.example", "user@customer-2.example"


@pytest.fixture(scope="module")
def machines():
    return Machines()


@pytest.fixture(scope="module")
def first(machines):
    """What the network was before anything joined."""
    members = nodes(machines)
    return members, lasting(machines, members), starts(machines, members)


@pytest.fixture(scope="module")
def customer_1(machines, tmp_path_factory):
    return Api(machines, "centre", tmp_path_factory.mktemp("one"), CUSTOMER_1)


@pytest.fixture(scope="module")
def customer_2(machines, tmp_path_factory):
    return Api(machines, "centre", tmp_path_factory.mktemp("two"), CUSTOMER_2)


def play(name: str, *arguments: str) -> str:
    """Run a playbook, which must succeed; gives its output."""
    return must_run(PLAYBOOKS / f"{name}.yml", *arguments)


def voting(machines, member) -> set[str]:
    """The addresses that vote."""
    return {one.lower() for one in rpc(machines, member, "istanbul_getValidators", "latest")}


def test_tickets_flow(first, customer_1):
    """Before anything changes, and for minutes yet."""
    wait_for("the first ticket", lambda: customer_1.count() > 0)
    assert len(first[0]) == 5


def test_what_is_not_described_is_not_added(machines, first):
    """The name is told, with what there is; nothing is changed."""
    for name, argument in (("add-customer", "customer=nobody"), ("add-station", "station=nowhere")):
        done = run_play(PLAYBOOKS / f"{name}.yml", "-e", argument)
        assert done.returncode != 0
        assert f"{argument.split('=')[1]} in the description" in said(done)
    assert starts(machines, first[0]) == first[2]


def test_a_customer_joins(machines, first, customer_1):
    """His node is voted in; nobody else is restarted, and tickets go on."""
    before = customer_1.count()
    describe("grown")
    told = play("add-customer", "-e", "customer=customer-2")
    assert CUSTOMER_2 in told
    members = nodes(machines)
    described = {
        public_keys(machines, one)["address"].lower() for one in members if one["validator"]
    }
    assert len(described) == 5
    for one in members:
        assert voting(machines, one) == described
    assert starts(machines, first[0]) == first[2]
    assert customer_1.count() > before


def test_a_station_joins(machines, customer_2):
    """Its node follows, its contract is made, its tickets come; nobody else is restarted."""
    before = starts(machines, nodes(machines))
    assert customer_2.count() == 0
    describe("full")
    play("add-station", "-e", "station=station-2")
    assert starts(machines, nodes(machines)).items() >= before.items()
    wait_for("the new station's 300 tickets", lambda: customer_2.count() == 300)
    assert {one["ticketID"] for one in customer_2.every_ticket()} == receipts(machines, "box-2")


def test_genesis_and_keys_are_what_they_were(machines, first):
    """A file that was made once is never made again."""
    assert lasting(machines, first[0]) == first[1]


@pytest.mark.parametrize("kind", ["tokens", "vault", "certificates"])
def test_keys_rotate_while_tickets_flow(machines, first, customer_1, kind):
    """What was sealed opens, who was logged in stays so, the ledger's own keys are kept."""
    before = customer_1.count()
    old = machines["hub"].file("/etc/steelyard/pki/node.key").sha256sum
    play("rotate-keys", "-e", f"rotate={kind}")
    new = machines["hub"].file("/etc/steelyard/pki/node.key").sha256sum
    assert (new != old) is (kind == "certificates")
    assert customer_1.count() >= before
    customer_1.log_in()
    wait_for(
        "the station's next ticket",
        lambda: customer_1.count() > before or customer_1.count() == 300,
    )
    assert lasting(machines, first[0]) == first[1]


def test_an_unknown_kind_of_key_is_refused():
    """With what is allowed."""
    done = run_play(PLAYBOOKS / "rotate-keys.yml", "-e", "rotate=everything")
    assert done.returncode != 0
    assert "rotate must be vault, tokens or certificates, and is everything" in said(done)


def test_nothing_was_lost(machines, customer_1):
    """Every weighing of the first station is a ticket on the ledger, once."""
    wait_for("all 300 tickets", lambda: customer_1.count() == 300, 1200)
    found = [one["ticketID"] for one in customer_1.every_ticket()]
    assert len(set(found)) == len(found) == 300
    assert set(found) == receipts(machines, "box-1")
    status = smartbox(machines, "box-1")["tickets"]
    assert (status["registered"], status["refused"], status["queued"]) == (300, 0, 0)


def test_a_station_leaves(machines, customer_2, first):
    """Its machines are silent, its certificates revoked; its customer reads on."""
    before = starts(machines, first[0])
    gone = next(one for one in nodes(machines) if one["name"] == "station-2-node")
    play("remove-station", "-e", "station=station-2")
    assert not machines["box-2"].service("steelyard-smartbox").is_running
    assert not machines["box-2"].service("steelyard-smartbox").is_enabled
    assert (
        machines["box-2"].check_output(
            "systemctl list-units --plain --no-legend 'steelyard-loadcell@*'"
        )
        == ""
    )
    assert not machines["birch"].service("steelyard-quorum-station-2-node").is_running
    assert machines["birch"].file(f"{gone['directory']}/geth/geth/nodekey").exists
    revoked = machines["centre"].check_output(
        "/opt/steelyard/server/current/venv/bin/steelyard pki show "
        "--authority /var/lib/steelyard-authorities/devices"
    )
    assert any("revoked" in line and "SB-" in line for line in revoked.splitlines())
    assert len(customer_2.every_ticket()) == 300
    assert starts(machines, first[0]) == before
    members = json.loads(
        machines["hub"]
        .file("/var/lib/steelyard/nodes/network-1/geth/permissioned-nodes.json")
        .content_string
    )
    assert len(members) == 6
    assert not any(f":{gone['p2p_port']}?" in one and gone["address"] in one for one in members)


def test_a_removal_may_be_repeated(customer_2):
    """As after a run that died; and a later run of everything finds nothing to do for it."""
    play("remove-station", "-e", "station=station-2")
    describe("grown")
    assert len(customer_2.every_ticket()) == 300
