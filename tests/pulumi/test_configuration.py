"""A wrong configuration is named in one sentence, before anything is made."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from stacks import KEY, Engine, customer, stack, values

from infra.program.run import run
from infra.stack.errors import InvalidStack
from infra.stack.layout import lay_out
from infra.stack.models import StackConfig
from infra.stack.reading import read_stack

Change = Callable[[dict[str, Any]], object]

WRONG: dict[str, tuple[str, Change, str]] = {
    "an unknown key": (
        "local",
        lambda d: d.update(colour="blue"),
        "steelyard:colour is not known",
    ),
    "an unknown key within": (
        "aws",
        lambda d: d["aws"].update(vpc="x"),
        "steelyard:aws.vpc is not known",
    ),
    "no target": ("local", lambda d: d.pop("target"), "steelyard:target is missing"),
    "another target": (
        "local",
        lambda d: d.update(target="moon"),
        "steelyard:target is moon: input should be 'aws' or 'local'",
    ),
    "target aws without its settings": (
        "aws",
        lambda d: d.pop("aws"),
        "steelyard:aws is missing: target aws needs it",
    ),
    "a bad size": (
        "aws",
        lambda d: d.update(sizes={"customer": "huge"}),
        (
            "steelyard:sizes.customer is huge: input should be 'small', 'medium', 'large' or "
            "'xlarge'"
        ),
    ),
    "a size for nobody": (
        "aws",
        lambda d: d.update(sizes={"customers": {"zebra": "large"}}),
        "steelyard:sizes.customers names zebra, which is no customer",
    ),
    "more nodes than a size carries": (
        "aws",
        lambda d: d["consortium"].update(customers=[customer(1, 9)]),
        "machine customer-1 has 10 nodes and size medium has room for 7: choose large",
    ),
    "two customers of one name": (
        "local",
        lambda d: d["consortium"]["customers"].append(customer(1)),
        "2 customers are called customer-1: each needs a name of its own",
    ),
    "too few validators": (
        "local",
        lambda d: d["consortium"].update(customers=[]),
        (
            "3 validators cannot tolerate 1 fault: the network's and the customers' admin nodes "
            "must be 4 at least, or steelyard:consortium.fault_tolerance less"
        ),
    ),
    "a station's node without a slot of its own": (
        "local",
        lambda d: d["consortium"]["customers"][0]["stations"][0]["node"].pop("slot"),
        (
            "nodes customer-1-admin and customer-1-station-1-1 are both in slot 0 of customer-1: "
            "their ports would be the same"
        ),
    ),
    "a mistake in the consortium": (
        "local",
        lambda d: d["consortium"].update(validators=4),
        "steelyard:consortium.validators is not known",
    ),
    "a host's name that no machine can have": (
        "local",
        lambda d: d["consortium"]["network"][0].update(host="Net_1.example"),
        ("machine Net_1.example: a name has lower case letters, digits and hyphens, 40 at most"),
    ),
    "a SmartBox in the cloud": (
        "aws",
        lambda d: d["consortium"]["customers"][0]["stations"][0].update(
            smartbox={"host": "box", "serial": "SB-1", "terminal_serial": "T-1"}
        ),
        (
            "box is a station's own device, which target aws does not make: name it in "
            "steelyard:outside with its address"
        ),
    ),
    "a platform without a name": (
        "aws",
        lambda d: d["consortium"].pop("platform"),
        "steelyard:consortium.platform.names is empty: on target aws users reach the APIs by a",
    ),
    "subnets that overlap": (
        "aws",
        lambda d: d["aws"].update(
            network={"private": ["10.64.0.0/18", "10.64.64.0/18", "10.64.128.0/18"]}
        ),
        "steelyard:aws.network: the subnets 10.64.0.0/20 and 10.64.0.0/18 overlap",
    ),
    "a subnet elsewhere": (
        "aws",
        lambda d: d["aws"].update(
            network={"public": ["10.9.0.0/24", "10.64.1.0/24", "10.64.2.0/24"]}
        ),
        "steelyard:aws.network.public: 10.9.0.0/24 is not in the range 10.64.0.0/16",
    ),
    "the offices' network": (
        "aws",
        lambda d: d["aws"].update(network={"reserved": ["10.0.0.0/8"]}),
        (
            "steelyard:aws.network.range 10.64.0.0/16 overlaps 10.0.0.0/8 of "
            "steelyard:aws.network.reserved"
        ),
    ),
    "a network with host bits": (
        "aws",
        lambda d: d["aws"].update(network={"range": "10.64.0.1/16"}),
        "steelyard:aws.network.range is 10.64.0.1/16: 10.64.0.1/16 has host bits set",
    ),
    "one zone": (
        "aws",
        lambda d: d["aws"].update(network={"zones": ["eu-west-1a"]}),
        "steelyard:aws.network.zones has 1: there must be two or three",
    ),
    "operators everywhere": (
        "local",
        lambda d: d.update(operators=["0.0.0.0/0"]),
        "steelyard:operators must not be everybody: name networks of operators",
    ),
    "operators in the stack's own network": (
        "aws",
        lambda d: d.update(operators=["10.64.3.0/24"]),
        "steelyard:operators 10.64.3.0/24 overlaps steelyard:aws.network.range 10.64.0.0/16",
    ),
    "an outside host that takes an inside address": (
        "aws",
        lambda d: d.update(outside={"box": {"address": "10.64.0.9", "host_key": KEY}}),
        "steelyard:outside.box 10.64.0.9 is in the stack's own range 10.64.0.0/16",
    ),
    "a network that is too small": (
        "aws",
        lambda d: d["aws"].update(network={"range": "10.64.0.0/24"}),
        "steelyard:aws.network.range 10.64.0.0/24 has no room for 154 machines: take a larger one",
    ),
    "nothing to install": (
        "local",
        lambda d: d.update(configure=True),
        (
            "steelyard:application is missing: it is what playbooks/site.yml installs; or set "
            "steelyard:configure to false"
        ),
    ),
    "a database whose certificate nobody could check": (
        "aws",
        lambda d: (
            d["aws"].pop("database_ca_checksum"),
            d.update(configure=True, application={"server_bundle": "x"}),
        ),
        (
            "steelyard:aws.database_ca_checksum is missing: the platform checks the database's "
            "certificate by https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem"
        ),
    ),
    "a platform elsewhere with a database here": (
        "aws",
        lambda d: d.update(outside={"platform": {"address": "203.0.113.7", "host_key": KEY}}),
        (
            "steelyard:aws.database is rds, and the platform's host platform is in "
            "steelyard:outside: only the stack's own machine reaches that database, take host"
        ),
    ),
    "half a checksum": (
        "aws",
        lambda d: d["aws"].update(database_ca_checksum="abc"),
        "steelyard:aws.database_ca_checksum is abc: string should match pattern",
    ),
    "a customer called monitoring": (
        "local",
        lambda d: (
            d["consortium"]["customers"].append(customer(3) | {"name": "monitoring"})
            or d.update(monitoring=True)
        ),
        (
            "machine monitoring: with steelyard:monitoring the stack makes one of this name "
            "itself, call the host otherwise"
        ),
    ),
    "an outside host called monitoring": (
        "aws",
        lambda d: d.update(
            monitoring=True, outside={"monitoring": {"address": "203.0.113.7", "host_key": KEY}}
        ),
        "machine monitoring: with steelyard:monitoring the stack makes one of this name itself",
    ),
    "a secret in plain text": (
        "local",
        lambda d: d.update(variables={"backup_password": "hunter2"}),
        (
            "steelyard:variables.backup_password is a secret in plain text: encrypt it with "
            "ansible-vault, or name a file"
        ),
    ),
    "somebody who leaves and is not there": (
        "local",
        lambda d: d.update(leaving=["nobody"]),
        "steelyard:leaving names nobody, which is no node of the network, customer or station",
    ),
    "too many who leave": (
        "local",
        lambda d: d.update(leaving=["network-1", "network-2"]),
        (
            "2 of 5 validators would leave at once, and 3 could make no block (it takes 4): let "
            "fewer leave at a time"
        ),
    ),
    "the whole network leaving": (
        "local",
        lambda d: d.update(leaving=["network-1", "network-2", "network-3"]),
        "steelyard:leaving has all nodes of the network: one must stay",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name):
    """One sentence, with the key and what is allowed."""
    target, change, expected = WRONG[name]
    document = stack(150 if "no room" in expected else 2, target=target)
    change(document)
    with pytest.raises(InvalidStack) as caught:
        lay_out(read_stack(values(document)))
    assert [one for one in caught.value.problems if expected in one] != []


def test_every_reason_is_told_at_once():
    """Nobody runs a preview three times to learn three things."""
    document = stack(target="aws", operators=["0.0.0.0/0"], leaving=["nobody"])
    document["consortium"]["customers"].append(customer(1))
    with pytest.raises(InvalidStack) as caught:
        lay_out(read_stack(values(document)))
    assert len(caught.value.problems) >= 3


def test_the_program_ends_with_sentences():
    """A RunError is shown as it is: a line for each reason, no traceback."""
    pulumi.runtime.set_mocks(Engine())
    document = stack(colour="blue", shape="round")
    with pytest.raises(pulumi.RunError) as caught:
        run(values(document), (), "test")
    assert str(caught.value).splitlines() == [
        "steelyard:colour is not known",
        "steelyard:shape is not known",
    ]


def test_a_bundle_that_is_not_there_is_named():
    """With the command that makes it, in preview already."""
    pulumi.runtime.set_mocks(Engine())
    document = stack(configure=True, application={"server_bundle": "dist/none.tar"})
    with pytest.raises(pulumi.RunError, match=r"dist/none\.tar is not there: make it by `python"):
        run(values(document), (), "test")


def test_an_encrypted_value_is_refused():
    """It would stand in clear in the inventory."""
    with pytest.raises(InvalidStack, match="steelyard:variables is encrypted"):
        read_stack(values(stack(variables={})), ["steelyard:variables"])


def test_other_namespaces_are_the_providers():
    """`aws:profile` is none of ours."""
    assert read_stack(values(stack()) | {"aws:profile": "me"}).target == "local"


def test_a_text_that_is_no_document_is_named():
    """Where a list or a table is wanted."""
    with pytest.raises(InvalidStack, match=r"steelyard:sizes is big: input should be"):
        read_stack(values(stack()) | {"steelyard:sizes": "big"})


def test_every_key_has_a_meaning():
    """Of the configuration and of its parts."""
    assert [one for one in StackConfig.model_fields.values() if not one.description] == []
