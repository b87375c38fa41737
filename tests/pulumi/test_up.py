"""A stack's whole life on this computer, by the program pulumi: up, change, refresh, destroy."""

import re

import pytest
from cli import PulumiStack, why_not
from stacks import customer, stack

from infra.machines.group import MachineGroup
from infra.machines.programs import run
from infra.machines.state import read_group
from steelyard.network import processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(why_not() is not None, reason=f"no stack: {why_not()}"),
]


def consortium(*customers: int, stations: int = 1) -> dict:
    """Two nodes of the network on one machine, and these customers."""
    document = stack(0)["consortium"]
    document["fault_tolerance"] = 0
    document["network"] = [
        {"name": "network-1", "host": "network"},
        {"name": "network-2", "host": "network", "slot": 1},
    ]
    document["customers"] = [customer(number, stations) for number in customers]
    return document


@pytest.fixture
def made(tmp_path):
    """A stack that is not up yet; afterwards nothing of it is left."""
    found = PulumiStack(tmp_path, stack(configure=False) | {"consortium": consortium(1)})
    try:
        yield found
    finally:
        found.end()


def links() -> str:
    """The network's links on this computer, with those of other people's machines."""
    return run(["ip", "-brief", "link", "show"])


def test_a_stack_lives_and_leaves_nothing(made):
    """Every step of docs/how-to/pulumi.md that needs no engines."""
    assert "steelyard@v" in made.preview("--policy-pack", "infra/policy")
    made.up()
    hosts = made.output("inventory")["hosts"]
    assert set(hosts) == {"network", "customer-1", "platform"}
    assert made.ansible("all", "-m", "ping").count("SUCCESS") == 3

    made.up("--expect-no-changes")
    _a_machine_that_fell_is_started(made)
    _members_come(made, hosts)
    _members_go_in_two_updates(made)
    _protected_machines_are_not_destroyed(made)

    group = read_group(made.directory)
    assert group.bridge in links()
    made.configure(protect=False)
    made.up()
    made.destroy()
    assert not made.directory.exists()
    assert group.bridge not in links()
    lived = [one.nspawn for one in group.machines]
    assert not any(processes.alive(one) for one in lived)


def _a_machine_that_fell_is_started(made):
    MachineGroup(made.directory).kill("customer-1")
    assert re.search(r"LocalMachine customer-1 updated", made.refresh())
    assert re.search(r"LocalMachine customer-1 updated", made.up())
    made.up("--expect-no-changes")
    assert made.ansible("customer-1", "-m", "ping").count("SUCCESS") == 1


def _members_come(made, hosts):
    made.configure(consortium=consortium(1, 2, stations=2))
    said = made.up()
    assert re.search(r"LocalMachine customer-2 created", said)
    now = made.output("inventory")["hosts"]
    assert {name: now[name] for name in hosts} == hosts
    told = made.output("inventory")["vars"]["consortium"]["customers"]
    assert [len(one["stations"]) for one in told] == [2, 2]


def _members_go_in_two_updates(made):
    made.configure(consortium=consortium(1, stations=2))
    said = made.preview(code=None)
    assert "node customer-2-admin (a validator) would be deleted without having left" in said
    assert "Traceback" not in said
    made.up(code=None)
    assert "customer-2" in made.output("inventory")["hosts"]

    made.configure(consortium=consortium(1, 2, stations=2), leaving=["customer-2"])
    made.up()
    told = made.output("inventory")["vars"]
    assert [one["name"] for one in told["consortium"]["customers"]] == ["customer-1"]
    assert told["quorum_drop_others"] is True

    made.configure(consortium=consortium(1, stations=2), leaving=[])
    said = made.preview()
    assert "would be lost: machine customer-2 with node customer-2-admin" in said
    assert re.search(r"LocalMachine customer-2 deleted", made.up())
    assert set(made.output("inventory")["hosts"]) == {"network", "customer-1", "platform"}


def _protected_machines_are_not_destroyed(made):
    assert "protected" in made.destroy(code=None)
    assert set(MachineGroup(made.directory).machines) == {"network", "customer-1", "platform"}
    # Nothing else of it went first: its record of members is there.
    made.up("--expect-no-changes")


def test_a_wrong_configuration_is_told_in_preview(made):
    """In sentences, each once, and without a traceback of ours."""
    made.configure(operators=["0.0.0.0/0"], sizes={"customer": "huge"})
    said = made.preview(code=None)
    assert "steelyard:sizes.customer is huge: input should be 'small'" in said
    assert "Traceback" not in said
