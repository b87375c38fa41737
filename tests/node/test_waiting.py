"""A node is ready when blocks come, and what is missing until then is told."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from fakenode import A, B, FakeChain

from steelyard.node.asking import NodeClient
from steelyard.node.cli import node
from steelyard.node.errors import NodeProblem, NotReady
from steelyard.node.waiting import Wanted, wait_until_ready


@pytest.fixture
def fake(serve):
    (found,) = serve(FakeChain(A, B), A)
    return found


def client(fake):
    return NodeClient(fake.url, fake.tessera)


def test_a_node_is_ready_when_blocks_come(fake):
    """And its peers and parties are there."""
    found = wait_until_ready(client(fake), Wanted(3, ("k1", "k2"), after_block=9), 10)
    assert found["head"] > 9
    assert found["peers"] == 3
    assert found["validators"] == [A, B]
    assert found["parties"] == ["k1", "k2"]


@pytest.mark.parametrize(
    ("change", "wanted", "sentence"),
    [
        ({"chain.moves": False}, Wanted(), "after 0.1 s: no block came after 5"),
        ({"chain.moves": False}, Wanted(after_block=5, moving=False), "block 5, and not after 5"),
        ({"peers": 1}, Wanted(3), "it has 1 peers of 3"),
        ({}, Wanted(0, ("k1", "k9")), "does not know 1 of 2 keys"),
        ({"upcheck": "Database unavailable"}, Wanted(), "its privacy manager is not up"),
        ({"syncing": {"currentBlock": "0x1"}}, Wanted(), "fetches more"),
        ({"answers": {"net_peerCount": '{"result": null}'}}, Wanted(), "None is no number"),
        ({"answers": {"net_peerCount": "busy"}}, Wanted(), "no JSON-RPC came back"),
        ({"answers": {"net_peerCount": '{"error": {"message": "no way"}}'}}, Wanted(), "no way"),
        ({"answers": {"/partyinfo/keys": "{}"}}, Wanted(0, ("k1",)), "not in a known form"),
    ],
)
def test_what_is_missing_is_told(fake, change, wanted, sentence):
    """After the time is up, in one sentence."""
    for name, value in change.items():
        target = fake.chain if name.startswith("chain.") else fake
        setattr(target, name.removeprefix("chain."), value)
    with pytest.raises(NotReady, match=sentence):
        wait_until_ready(client(fake), wanted, 0.1)


def test_what_comes_late_is_waited_for(fake):
    """Here the privacy manager's database, and then a party."""
    fake.upcheck, fake.parties = "Database unavailable", ["k1"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_until_ready, client(fake), Wanted(0, ("k2",)), 20)
        fake.upcheck = "I'm up!"
        fake.parties = ["k1", "k2"]
        assert waiting.result()["parties"] == ["k1", "k2"]


def test_nobody_there_is_told():
    """A node that does not listen is not ready."""
    with pytest.raises(NotReady, match=r"after 0\.1 s: http://127\.0\.0\.1:1: "):
        wait_until_ready(NodeClient("http://127.0.0.1:1", "unix:/nowhere"), Wanted(), 0.1)


def test_without_waiting_it_is_asked_once(fake):
    """A look: nobody waits for a block; options are checked all the same."""
    fake.chain.moves = False
    arguments = ["status", "--rpc", fake.url, "--tessera", fake.tessera]
    done = CliRunner().invoke(node, arguments)
    assert json.loads(done.output) == {
        "head": 5,
        "peers": 3,
        "validators": [A, B],
        "parties": ["k1", "k2"],
    }
    missing = CliRunner().invoke(node, [*arguments, "--peers", "4"])
    assert isinstance(missing.exception, NotReady)
    assert str(missing.exception) == "it has 3 peers of 4"


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:22000", "https://h:1", "http://h:x", "http://h/x", "unix:relative"]
)
def test_an_address_that_is_none_is_told_before_anything_is_waited_for(url):
    with pytest.raises(NodeProblem, match="must be http://HOST:PORT or unix:/PATH"):
        NodeClient(url)
    with pytest.raises(NodeProblem, match="must be http://HOST:PORT or unix:/PATH"):
        NodeClient("http://127.0.0.1:1", url)
