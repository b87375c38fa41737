"""The commands at the real programs: a node is voted in, proposes blocks, and is voted out.

Skipped, with the reason, where STEELYARD_GETH and STEELYARD_TESSERA are not set.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from real_engines import require_engines
from steelyard.network import starting
from steelyard.network.configuration import geth_command
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings
from steelyard.node.asking import NodeClient
from steelyard.node.checking import check
from steelyard.node.errors import VoteWithoutEffect
from steelyard.node.genesis import read_genesis
from steelyard.node.voting import propose, settle
from steelyard.node.waiting import Wanted, wait_until_ready

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

VALIDATORS = 3
SECONDS = 180.0


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalNetwork]:
    """Three validators, and a fourth node that is ready to be one, as a new customer's is."""
    require_engines()

    def command(geth: Path, node: Any, choices: Any) -> list[str]:
        found = geth_command(geth, node, choices)
        return found if node.votes else [*found, "--mine", "--miner.threads", "1"]

    monkeypatch.setattr(starting, "geth_command", command)
    settings = NetworkSettings(nodes=VALIDATORS + 1, validators=VALIDATORS)
    with LocalNetwork(tmp_path / "n", settings) as one:
        yield one


def client(node: Any) -> NodeClient:
    return NodeClient(node.rpc_url, node.tessera_url)


def at_each(nodes: Sequence[Any], call: Any) -> list[Any]:
    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(lambda node: call(client(node)), nodes))


def authors(asked: NodeClient, first: int, last: int) -> set[str]:
    """Who proposed these blocks."""
    numbers = range(first, last + 1)
    found = [asked.call("istanbul_getSignersFromBlock", hex(number)) for number in numbers]
    return {str(one["Author"]).lower() for one in found}


def test_a_nodes_life(network: LocalNetwork) -> None:
    nodes = network.nodes
    voters, newcomer = nodes[:VALIDATORS], nodes[-1]
    addresses = [node.record.address for node in nodes]
    keys = tuple(node.tessera_public_key for node in nodes)
    asked = client(nodes[0])

    for node in nodes:
        told = check(node.directory, client=client(node))
        assert told["address"] == node.record.address
        assert told["genesis"] == read_genesis(network.directory / "genesis.json").sha256
        assert told["may_vote"]
        ready = wait_until_ready(client(node), Wanted(len(nodes) - 1, keys), SECONDS)
        assert sorted(ready["validators"]) == sorted(addresses[:VALIDATORS])

    with pytest.raises(VoteWithoutEffect, match="more than half of the 3"):
        propose(asked, newcomer.record.address, 5, vote=True)
    assert asked.candidates() == {newcomer.record.address: True}
    outcomes = at_each(voters, lambda one: settle(one, addresses, SECONDS))
    assert all(sorted(one.validators) == sorted(addresses) for one in outcomes)
    assert at_each(voters, lambda one: one.candidates()) == [{}] * VALIDATORS

    head = asked.head()
    last = wait_until_ready(asked, Wanted(after_block=head + 3 * len(nodes)), SECONDS)["head"]
    # It was ready for it and needs no restart.
    assert newcomer.record.address.lower() in authors(asked, head + 1, last)

    network.restart("node-2", "geth")
    ready = wait_until_ready(
        client(nodes[1]), Wanted(len(nodes) - 1, keys, asked.head() + 2), SECONDS
    )
    assert sorted(ready["validators"]) == sorted(addresses)

    # A list that lacks one takes nobody's vote; that has to be asked for.
    wanted = addresses[:VALIDATORS]
    left = at_each(voters, lambda one: settle(one, wanted, SECONDS))
    assert all(one.unlisted == (newcomer.record.address,) for one in left)
    at_each(nodes[:VALIDATORS], lambda one: settle(one, wanted, SECONDS, drop_others=True))
    assert sorted(asked.validators()) == sorted(wanted)
    assert at_each(voters, lambda one: one.candidates()) == [{}] * VALIDATORS
    wait_until_ready(asked, Wanted(after_block=asked.head() + 2), SECONDS)
