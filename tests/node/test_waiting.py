"""Readiness and votes, against a node of the test's own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from steelyard.node.asking import NodeClient
from steelyard.node.cli import node
from steelyard.node.errors import NotReady, VoteWithoutEffect
from steelyard.node.waiting import Wanted, settle_validators, wait_until_ready

A, B, C = ("0x" + letter * 40 for letter in "abc")


class FakeNode:
    """A node whose validators change when more than half of them voted; it votes for all."""

    def __init__(self) -> None:
        self.head = 5
        self.moves = True
        self.peers = 3
        self.keys = ["k1", "k2"]
        self.validators = [A, B]
        self.obeys = True
        self.votes: list[tuple[str, bool]] = []

    def call(self, method: str, params: list) -> object:
        if method == "eth_blockNumber":
            self.head += self.moves
            return hex(self.head)
        if method == "net_peerCount":
            return hex(self.peers)
        if method == "eth_syncing":
            return False
        if method == "istanbul_getValidators":
            return self.validators
        assert method == "istanbul_propose"
        self.votes.append((params[0], params[1]))
        if self.obeys and params[1]:
            self.validators = [*self.validators, params[0]]
        elif self.obeys:
            self.validators = [one for one in self.validators if one != params[0]]
        return None


@pytest.fixture
def fake():
    found = FakeNode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            result = found.call(request["method"], request["params"])
            self.answer(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}))

        def do_GET(self):
            self.answer(
                "I'm up!"
                if self.path == "/upcheck"
                else json.dumps({"keys": [{"key": one} for one in found.keys]})
            )

        def answer(self, text):
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


def client(fake: FakeNode) -> NodeClient:
    """For both of its sides."""
    return NodeClient(fake.url, fake.url)


def test_a_node_is_ready_when_blocks_come(fake):
    """And its peers and parties are there."""
    found = wait_until_ready(client(fake), Wanted(3, ("k1", "k2")), 10)
    assert found["peers"] == 3
    assert found["validators"] == [A, B]


@pytest.mark.parametrize(
    ("change", "wanted", "sentence"),
    [
        ({"moves": False}, Wanted(), "no block came after"),
        ({"peers": 1}, Wanted(3), "it has 1 peers of 3"),
        ({}, Wanted(0, ("k1", "k9")), "does not know 1 of 2 keys"),
    ],
)
def test_what_is_missing_is_told(fake, change, wanted, sentence):
    """After the time is up, in one sentence."""
    for name, value in change.items():
        setattr(fake, name, value)
    with pytest.raises(NotReady, match=sentence):
        wait_until_ready(client(fake), wanted, 0.2)


def test_nobody_there_is_told():
    """A node that does not listen is not ready."""
    with pytest.raises(NotReady, match=r"after 0\.1 s"):
        wait_until_ready(NodeClient("http://127.0.0.1:1", "unix:/nowhere"), Wanted(), 0.1)


def test_validators_are_voted_in_before_others_are_voted_out(fake):
    """So that the network is never smaller than it must be."""
    assert settle_validators(client(fake), [A, C], 5) == sorted([B, C])
    assert fake.votes == [(C, True), (B, False)]


def test_settled_validators_need_no_vote(fake):
    """Idempotent, whatever the case of the addresses."""
    done = CliRunner().invoke(
        node,
        [
            *("validators", "--rpc", fake.url, "--settle", "--wanted", B),
            *("--wanted", A.upper().replace("X", "x")),
        ],
    )
    assert json.loads(done.output) == {"validators": [A, B], "voted": []}
    assert fake.votes == []


def test_a_vote_without_effect_is_told_and_given_once(fake):
    """More than half must vote; this node's own voice is not repeated."""
    fake.obeys = False
    with pytest.raises(VoteWithoutEffect, match="more than half"):
        settle_validators(client(fake), [A, B, C], 0.1, sleep=lambda _: None)
    assert fake.votes == [(C, True)]


def test_nobody_is_never_wanted(fake):
    """An empty list would vote everybody out."""
    with pytest.raises(VoteWithoutEffect, match="nobody would be left"):
        settle_validators(client(fake), [], 5)
    assert fake.votes == []
