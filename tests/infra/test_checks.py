"""A wrong description is named before anything is changed."""

from collections.abc import Callable
from typing import Any

import pytest
from descriptions import example, hosts, station

from infra.consortium.checks import plain_secrets, read_consortium
from infra.consortium.errors import InvalidConsortium

Change = Callable[[dict[str, Any], dict[str, Any]], object]

WRONG: dict[str, tuple[Change, str]] = {
    "two stations of one name": (
        lambda d, h: d["customers"][1]["stations"][0].update(name="North"),
        "2 stations are called north: each needs a name of its own",
    ),
    "a customer without an admin node": (
        lambda d, h: d["customers"][0].pop("admin"),
        "customer acme has no admin node: its tickets need one beside the station's",
    ),
    "validators that cannot tolerate a fault": (
        lambda d, h: d["network"].pop(),
        (
            "3 validators cannot tolerate 1 fault: the network's and the customers' admin nodes "
            "must be 4 at least, or consortium.fault_tolerance less"
        ),
    ),
    "a host with nodes that is called like the platform's certificate": (
        lambda d, h: (d["network"][0].update(host="platform"), h.update(platform={})),
        (
            "a host with nodes is called platform: by that name the gateways know the platform, "
            "call the host otherwise"
        ),
    ),
    "an address used twice": (
        lambda d, h: h["net-2"].update(ansible_host="10.0.0.1"),
        "the address 10.0.0.1 is used twice: by net-1 and net-2",
    ),
    "a slot used twice": (
        lambda d, h: d["customers"][0]["stations"][0]["node"].update(slot=0),
        (
            "nodes acme-admin and north-node are both in slot 0 of acme-1: their ports would be "
            "the same"
        ),
    ),
    "a host that is not there": (
        lambda d, h: h.pop("birch-1"),
        "node birch-admin is on birch-1, which is no host of the inventory",
    ),
    "a node's name twice": (
        lambda d, h: d["customers"][1]["admin"].update(name="acme-admin"),
        "2 nodes are called acme-admin: each needs a name of its own",
    ),
    "a load cell under two weighbridges": (
        lambda d, h: d["customers"][1]["stations"][0]["weighbridges"][0]["cells"][0].update(
            serial="LC-north-0"
        ),
        "2 load cells are called LC-north-0: each needs a name of its own",
    ),
    "a scale interval of nothing": (
        lambda d, h: d["customers"][0]["stations"][0]["weighbridges"][0].update(
            scale_interval_grams=0
        ),
        (
            "consortium.customers.0.stations.0.weighbridges.0.scale_interval_grams input should be "
            "greater than 0"
        ),
    ),
    "a word that is not known": (
        lambda d, h: d.update(validator_count=3),
        "consortium.validator_count is not known",
    ),
    "nothing of the platform": (lambda d, h: d.pop("platform"), "consortium.platform is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name):
    """One sentence, with the name of what is wrong and what is allowed."""
    change, expected = WRONG[name]
    document, variables = example(), hosts()
    change(document, variables)
    with pytest.raises(InvalidConsortium) as caught:
        read_consortium(document, variables)
    assert expected in caught.value.problems


def test_every_reason_is_told_at_once():
    """Nobody runs a play three times to learn three things."""
    document, variables = example(), hosts()
    document["customers"][0].pop("admin")
    document["customers"][1]["stations"].append(station("north", "birch-1", slot=2))
    with pytest.raises(InvalidConsortium) as caught:
        read_consortium(document, variables)
    assert len(caught.value.problems) >= 3


def test_a_right_description_is_taken():
    """Nothing is found in the example."""
    assert read_consortium(example(), hosts()).name == "example"


def test_one_host_may_carry_everything_when_no_fault_is_to_be_tolerated():
    """The small operator's: slots tell the nodes apart."""
    document = example()
    document["fault_tolerance"] = 0
    document["network"] = [{"name": "network-1", "host": "all"}]
    document["platform"] = {"host": "all"}
    for place, customer in enumerate(document["customers"]):
        customer["admin"].update(host="all", slot=1 + 2 * place)
        for one in customer["stations"]:
            one["node"].update(host="all", slot=2 + 2 * place)
            one["smartbox"] = None
            one["weighbridges"][0]["cells"] = [{"serial": f"LC-{place}"}]
    assert read_consortium(document, {"all": {}})


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"postgresql_password": "hunter2"}, ["postgresql_password"]),
        ({"a": {"client_secret": "x"}}, ["a.client_secret"]),
        ({"users": [{"password": "x"}]}, ["users[0].password"]),
        ({"password_file": "/etc/x", "token": "/run/x", "api_key": "{{ lookup('x') }}"}, []),
        ({"backup_password": "", "seconds": 5, "note": "a password"}, []),
    ],
)
def test_plain_secrets_are_found(variables, found):
    """By the variable's name; a path, a lookup and nothing at all are no secrets."""
    assert [one.split(" ")[0] for one in plain_secrets(variables)] == found
    assert "hunter2" not in str(plain_secrets(variables))
