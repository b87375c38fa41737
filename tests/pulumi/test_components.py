"""What holds for every stack, on both targets, small and large."""

import json
from collections import Counter

import pytest
from stacks import customer, stack, tried

from infra.stack.layout import lay_out
from infra.stack.models import StackConfig

SIZES = [1, 2, 50]
TARGETS = ["local", "aws"]


@pytest.fixture(scope="module")
def made():
    """Each stack is declared once; nobody changes what came of it."""
    kept = {}

    def of(target, customers):
        if (target, customers) not in kept:
            kept[target, customers] = tried(stack(customers, target=target))
        return kept[target, customers]

    return of


@pytest.mark.parametrize("customers", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_part_of_the_consortium_has_its_machine(made, target, customers):
    """The network's nodes, the customers, the platform; in the cloud the gate as well."""
    _, outputs = made(target, customers)
    wanted = {"platform", "network-1", "network-2", "network-3"}
    wanted |= {f"customer-{number}" for number in range(1, customers + 1)}
    assert set(outputs["inventory"]["hosts"]) == wanted | ({"gate"} if target == "aws" else set())


@pytest.mark.parametrize("customers", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_no_two_machines_share_an_address(made, target, customers):
    """Neither an address nor a host key's place."""
    _, outputs = made(target, customers)
    addresses = Counter(one["ansible_host"] for one in outputs["inventory"]["hosts"].values())
    assert addresses.most_common(1)[0][1] == 1


@pytest.mark.parametrize("customers", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_the_validators_are_those_of_the_rules(made, target, customers):
    """3f+1 at least; a station's node is none of them."""
    _, outputs = made(target, customers)
    told = outputs["inventory"]["vars"]["consortium"]
    validators = len(told["network"]) + len(told["customers"])
    assert validators == 3 + customers
    assert validators >= 3 * told["fault_tolerance"] + 1


@pytest.mark.parametrize("target", TARGETS)
def test_every_host_has_its_key_and_no_secret(made, target):
    """The inventory and all outputs: public keys and places, nothing that opens anything."""
    _, outputs = made(target, 2)
    assert all(
        one["steelyard_host_key"].startswith("ssh-")
        for one in outputs["inventory"]["hosts"].values()
    )
    text = json.dumps(outputs).lower()
    assert "private key" not in text
    assert outputs["first_administrator"] == {
        "login": "administrator@platform.invalid",
        "password_is_on": "platform",
        "password_file": "/etc/steelyard/platform/administrator.password",
    }


def test_the_urls_are_the_platforms(made):
    """Its name, where name servers know it; else its address."""
    _, outputs = made("aws", 2)
    assert outputs["management_api_url"] == "https://steelyard.example:8443"
    _, outputs = made("local", 2)
    address = outputs["inventory"]["hosts"]["platform"]["ansible_host"]
    assert outputs["tickets_api_url"] == f"https://{address}:8444"


@pytest.mark.parametrize("target", TARGETS)
def test_machines_with_tickets_are_protected(target):
    """Unless the whole stack is not, or their members leave."""
    config = StackConfig.model_validate(stack(5, target=target, leaving=["customer-1"]))
    protected = {one.name: one.protected for one in lay_out(config).machines}
    assert [name for name, kept in protected.items() if not kept] == ["customer-1"]
    open_ = StackConfig.model_validate(stack(2, target=target, protect=False))
    assert not any(one.protected for one in lay_out(open_).machines)


def test_stations_share_their_customers_machine():
    """Its admin node in slot 0, theirs in the slots that the description states."""
    document = stack(1)
    document["consortium"]["customers"] = [customer(1, 3)]
    layout = lay_out(StackConfig.model_validate(document))
    plan = next(one for one in layout.machines if one.name == "customer-1")
    assert plan.nodes == (
        "customer-1-admin",
        *(f"customer-1-station-1-{slot}" for slot in (1, 2, 3)),
    )
    assert not plan.public


def test_who_leaves_is_out_of_the_description_and_still_in_the_inventory():
    """The others vote it out while it runs; its stations are taken out of service."""
    _, outputs = tried(stack(5, leaving=["customer-2"]))
    told = outputs["inventory"]["vars"]
    assert "customer-2" in outputs["inventory"]["hosts"]
    assert "customer-2" not in [one["name"] for one in told["consortium"]["customers"]]
    assert told["quorum_drop_others"] is True
    assert told["steelyard_leaving"]["stations"] == ["station-2-1"]
    assert outputs["next_steps"][-1].startswith("take customer-2 out of steelyard:consortium")


def test_a_leaving_station_takes_no_vote_away():
    """Its customer stays a validator."""
    _, outputs = tried(stack(2, leaving=["station-2-1"]))
    told = outputs["inventory"]["vars"]
    assert "quorum_drop_others" not in told
    assert told["steelyard_leaving"]["stations"] == ["station-2-1"]
    assert outputs["next_steps"][0].endswith(
        "playbooks/remove-station.yml -e station='station-2-1'"
    )
    assert told["consortium"]["customers"][1]["stations"] == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_monitoring_machine_is_in_its_group(target):
    """Of the size that is asked for, reached by ssh -L, and not protected: it has no ticket."""
    document = stack(1, target=target, monitoring=True, sizes={"monitoring": "medium"})
    plan = lay_out(StackConfig.model_validate(document)).machines[-1]
    assert (plan.name, plan.kinds, plan.size) == ("monitoring", ("monitoring",), "medium")
    assert not plan.protected
    _, outputs = tried(document)
    inventory = outputs["inventory"]
    assert inventory["groups"] == {"steelyard_monitoring": ["monitoring"]}
    assert inventory["hosts"]["monitoring"]["base_ssh_tcp_forwarding"] == "local"
