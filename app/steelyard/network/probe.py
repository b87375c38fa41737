"""Asks engines how they are, over plain connections to the loopback."""

import http.client
import json
from typing import Any

from steelyard.network.node import LOOPBACK, Node

_SECONDS = 5.0


class Unanswered(Exception):
    """An engine gave no answer, or none that could be used."""


def rpc(node: Node, method: str, *parameters: Any) -> Any:
    """The result of a JSON-RPC call. Raises Unanswered."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    body = _exchange(node.record.rpc_port, "POST", "/", json.dumps(request))
    try:
        return json.loads(body)["result"]
    except (ValueError, KeyError, TypeError):
        raise Unanswered(f"{method}: {body[:200]}") from None


def privacy_manager_is_up(node: Node) -> bool:
    """Whether it says so and its socket is there for the node.

    Some releases answer "Database unavailable" with status 200 as well.
    """
    if not node.socket.exists():
        return False
    return _exchange(node.record.third_party_port, "GET", "/upcheck").startswith("I'm up")


def lacks_version(node: Node) -> bool:
    """Whether a privacy manager tells no version, by which a node knows it for a Tessera."""
    status, _ = _answer(node.record.third_party_port, "GET", "/version")
    return status != 200


def known_keys(node: Node) -> set[str] | None:
    """The public keys that a privacy manager knows; None where it cannot tell (before 0.10.2)."""
    try:
        document = json.loads(
            _exchange(node.record.third_party_port, "GET", "/partyinfo/keys") or "null"
        )
        return None if document is None else {str(one["key"]) for one in document["keys"]}
    except (ValueError, KeyError, TypeError):
        raise Unanswered("/partyinfo/keys: not in a known form") from None


def head(node: Node) -> int:
    """The number of the node's newest block."""
    return _number(rpc(node, "eth_blockNumber"))


def peers(node: Node) -> int:
    """How many other nodes it is connected to."""
    return _number(rpc(node, "net_peerCount"))


def raft_leader(node: Node) -> str:
    """The leader that a node knows. Raises Unanswered while there is none."""
    leader = rpc(node, "raft_leader")
    if not leader:
        raise Unanswered("raft_leader: none")
    return str(leader)


def _number(text: Any) -> int:
    try:
        return int(text, 16)
    except (TypeError, ValueError):
        raise Unanswered(f"{text!r} is no number") from None


def _exchange(port: int, method: str, path: str, body: str | None = None) -> str:
    """The answer's text; empty for 404. Raises Unanswered."""
    status, text = _answer(port, method, path, body)
    if status == 404:
        return ""
    if status != 200:
        raise Unanswered(f"{method} {path}: status {status}")
    return text


def _answer(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    """Status and text, whatever they are. Raises Unanswered."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(str(error)) from None
    finally:
        connection.close()
