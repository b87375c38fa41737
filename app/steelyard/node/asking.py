"""Asks a node and its privacy manager of this host."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

from steelyard.node.errors import NodeProblem

_SECONDS = 10.0


class Unanswered(NodeProblem):
    """No answer, or none that can be used: it may come yet."""

    slug = "node-unanswered"
    title = "The node gave no answer"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)


class NodeClient:
    """A node's JSON-RPC and its privacy manager's client API, spoken to without a library."""

    def __init__(self, rpc_url: str, tessera: str | None = None) -> None:
        self._rpc = rpc_url
        self._tessera = tessera

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call. Raises Unanswered, and NodeProblem for an error object."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._read(self._rpc, "POST", "", json.dumps(request))
        try:
            document = json.loads(answer)
            if "error" in document:
                raise NodeProblem(f"{method}: {document['error']['message']}")
            return document["result"]
        except (ValueError, KeyError, TypeError):
            raise Unanswered(f"{method}: no JSON-RPC came back") from None

    def head(self) -> int:
        """The number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)

    def peers(self) -> int:
        """How many nodes it is connected to."""
        return int(self.call("net_peerCount"), 16)

    def is_syncing(self) -> bool:
        """Whether it fetches blocks that others have."""
        return bool(self.call("eth_syncing"))

    def validators(self) -> list[str]:
        """The validators' addresses, checksummed as the node gives them."""
        return [str(one) for one in self.call("istanbul_getValidators", "latest")]

    def privacy_manager_is_up(self) -> bool:
        """Whether it says so. Raises Unanswered."""
        return self._read(self._need_tessera(), "GET", "/upcheck", None).startswith("I'm up")

    def known_parties(self) -> set[str]:
        """The public keys that the privacy manager knows. Raises Unanswered."""
        text = self._read(self._need_tessera(), "GET", "/partyinfo/keys", None)
        try:
            return {str(one["key"]) for one in json.loads(text)["keys"]}
        except (ValueError, KeyError, TypeError):
            raise Unanswered("/partyinfo/keys: not in a known form") from None

    def _need_tessera(self) -> str:
        if self._tessera is None:
            raise NodeProblem("the privacy manager's address was not given")
        return self._tessera

    def _read(self, url: str, method: str, path: str, body: str | None) -> str:
        connection = self._connection(url)
        base = "" if url.startswith("unix:") else urlsplit(url).path
        try:
            connection.request(
                method, f"{base}{path}" or "/", body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"{url}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise Unanswered(f"{url}{path}: status {response.status}")
        return text

    @staticmethod
    def _connection(url: str) -> http.client.HTTPConnection:
        if url.startswith("unix:"):
            return _UnixConnection(url.removeprefix("unix:"))
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise NodeProblem(f"{url}: must be http://HOST:PORT or unix:/PATH")
        return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_SECONDS)
