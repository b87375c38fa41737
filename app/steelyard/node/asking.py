"""Asks a node and its privacy manager of this host."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

from steelyard.node.addresses import checksummed
from steelyard.node.errors import NodeProblem, Unanswered

_SECONDS = 10.0
_MAX_BYTES = 4 << 20
_UNIX = "unix:"
_JSON = {"Content-Type": "application/json"}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class NodeClient:
    """A node's JSON-RPC and its privacy manager's client API, each http://HOST:PORT or unix:/PATH.

    Raises NodeProblem for an address that is neither.
    """

    def __init__(self, rpc_url: str, tessera: str | None = None) -> None:
        for url in (rpc_url, tessera):
            if url is not None:
                _connection(url)
        self.rpc_url = rpc_url
        self._tessera = tessera

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call. Raises Unanswered, and NodeProblem for an error object."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = _read(self.rpc_url, "POST", "/", json.dumps(request))
        try:
            document = json.loads(answer)
            if "error" in document:
                raise NodeProblem(f"{method}: {document['error']['message']}")
            return document["result"]
        except (ValueError, KeyError, TypeError):
            raise Unanswered(f"{self.rpc_url}: {method}: no JSON-RPC came back") from None

    def head(self) -> int:
        """The number of the newest block."""
        return self._number("eth_blockNumber")

    def peers(self) -> int:
        """How many nodes it is connected to."""
        return self._number("net_peerCount")

    def chain_id(self) -> int:
        """The chain's id."""
        return self._number("eth_chainId")

    def is_syncing(self) -> bool:
        """Whether it fetches blocks that others have."""
        return bool(self.call("eth_syncing"))

    def validators(self) -> list[str]:
        """The validators' checksummed addresses, as of the newest block."""
        return checksummed(self._list("istanbul_getValidators", "latest"))

    def candidates(self) -> dict[str, bool]:
        """The votes that this node gives in its next blocks."""
        found = self.call("istanbul_candidates")
        if not isinstance(found, dict):
            raise Unanswered("istanbul_candidates: not in a known form")
        return dict(zip(checksummed(found), map(bool, found.values()), strict=True))

    def privacy_manager_is_up(self) -> bool:
        """Whether it says so; some releases answer "Database unavailable" with status 200."""
        return _read(self._need_tessera(), "GET", "/upcheck").startswith("I'm up")

    def known_parties(self) -> set[str]:
        """The public keys that the privacy manager knows."""
        text = _read(self._need_tessera(), "GET", "/partyinfo/keys")
        try:
            return {str(one["key"]) for one in json.loads(text)["keys"]}
        except (ValueError, KeyError, TypeError):
            raise Unanswered("/partyinfo/keys: not in a known form") from None

    def _number(self, method: str) -> int:
        found = self.call(method)
        try:
            return int(found, 16)
        except (TypeError, ValueError):
            raise Unanswered(f"{method}: {found!r} is no number") from None

    def _list(self, method: str, *params: Any) -> list[str]:
        found = self.call(method, *params)
        if not isinstance(found, list):
            raise Unanswered(f"{method}: not in a known form")
        return [str(one) for one in found]

    def _need_tessera(self) -> str:
        if self._tessera is None:
            raise NodeProblem("the privacy manager's address was not given")
        return self._tessera


def _read(url: str, method: str, path: str, body: str | None = None) -> str:
    """The answer's text. Raises Unanswered for another status than 200, too."""
    connection = _connection(url)
    try:
        connection.request(method, path, body, _JSON)
        response = connection.getresponse()
        content = response.read(_MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{url}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if response.status != http.client.OK or len(content) > _MAX_BYTES:
        raise Unanswered(f"{url}: {path} answers with status {response.status}")
    return content.decode("utf-8", "replace")


def _connection(url: str) -> http.client.HTTPConnection:
    """Not yet connected. Raises NodeProblem."""
    if url.startswith(f"{_UNIX}/"):
        return _UnixConnection(url.removeprefix(_UNIX))
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname and parts.path in ("", "/"):
            return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_SECONDS)
    except ValueError:  # of a port
        pass
    raise NodeProblem(f"{url}: must be http://HOST:PORT or unix:/PATH")
