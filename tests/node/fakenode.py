"""Nodes of the test's own: a chain that counts votes, and servers that speak for its nodes."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path

from steelyard.network.keys import NodeKey, is_plain, orders_agree

# Of digits alone, so that their checksummed form is the same.
A, B, C, D = ("0x" + digit * 40 for digit in "1234")


def disorderly() -> tuple[str, str]:
    """Two real addresses that GoQuorum sorts in two ways; the same at each call."""
    keys = [NodeKey.of(number.to_bytes(32)).address for number in range(1, 30)]
    return next(pair for pair in combinations(keys, 2) if not orders_agree(pair))


def orderly_of_another_kind(count: int) -> list[str]:
    """Real addresses, not drawn as ours are, that agree among themselves."""
    found: list[str] = []
    for number in range(1, 500):
        address = NodeKey.of(number.to_bytes(32)).address
        if not is_plain(address) and orders_agree([*found, address]) and len(found) < count:
            found.append(address)
    assert len(found) == count
    return found


class FakeChain:
    """Validators that change as QBFT's do: when more than half of them vote for it."""

    def __init__(self, *validators: str) -> None:
        self.validators = list(validators)
        self.head = 5
        self.moves = True
        self.block_zero: dict[str, str] = {}
        self.nodes: list[FakeNode] = []
        self._lock = threading.Lock()

    def grow(self) -> None:
        """A block, with every validator's votes in it."""
        with self._lock:
            if not self.moves:
                return
            self.head += 1
            voters = [one for one in self.nodes if one.address in self.validators]
            wishes = {wish for one in voters for wish in one.candidates.items()}
            for address, vote in sorted(wishes):
                votes = sum(one.candidates.get(address) is vote for one in voters)
                if (address in self.validators) is not vote and 2 * votes > len(self.validators):
                    change = self.validators.append if vote else self.validators.remove
                    change(address)


class FakeNode:
    """One node of the chain, with its privacy manager."""

    def __init__(self, chain: FakeChain, address: str) -> None:
        self.chain, self.address = chain, address
        self.peers = 3
        self.syncing: object = False
        self.parties = ["k1", "k2"]
        self.upcheck = "I'm up!"
        self.candidates: dict[str, bool] = {}
        self.votes: list[tuple[str, bool]] = []
        self.answers: dict[str, str] = {}
        self.url = ""
        self.tessera = ""
        chain.nodes.append(self)

    def result(self, method: str, params: list) -> object:
        if method == "eth_blockNumber":
            self.chain.grow()
            return hex(self.chain.head)
        if method == "istanbul_getValidators":
            self.chain.grow()
            return [one.lower() for one in self.chain.validators]
        if method == "istanbul_propose":
            self.candidates[params[0]] = params[1]
            self.votes.append((params[0], params[1]))
            return None
        if method == "istanbul_discard":
            self.candidates.pop(params[0], None)
            return None
        return {
            "net_peerCount": hex(self.peers),
            "eth_syncing": self.syncing,
            "eth_chainId": hex(1337),
            "eth_getBlockByNumber": self.chain.block_zero,
            "istanbul_candidates": dict(self.candidates),
        }[method]

    def answer(self, path: str, body: bytes) -> str:
        if path == "/upcheck":
            return self.upcheck
        if path == "/partyinfo/keys":
            keys = [{"key": one} for one in self.parties]
            return self.answers.get(path, json.dumps({"keys": keys}))
        request = json.loads(body)
        method = request["method"]
        result = {"result": self.result(method, request["params"])}
        document = {"jsonrpc": "2.0", "id": request["id"]} | result
        return self.answers.get(method, json.dumps(document))


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def served(node: FakeNode, directory: Path) -> Iterator[FakeNode]:
    """Serve a node's JSON-RPC by TCP and its privacy manager by a UNIX socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            text = node.answer(self.path, body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            return

    socket = directory / f"{node.address[-4:]}.sock"
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler), _UnixServer(str(socket), Handler)]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    node.url = f"http://127.0.0.1:{servers[0].server_address[1]}"
    node.tessera = f"unix:{socket}"
    try:
        yield node
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
