"""The ledger's nodes as this scenario describes them, and what its tests ask of their host."""

import json
import os
from dataclasses import dataclass

import pytest

ENGINES = ("STEELYARD_GETH", "STEELYARD_TESSERA")
RUNNING = all(os.environ.get(one) for one in ENGINES)
needs_engines = pytest.mark.skipif(
    not RUNNING, reason=f"needs running engines: {' and '.join(ENGINES)} name none"
)

PLACE = "/var/lib/steelyard/nodes"
PKI = "/etc/steelyard/pki"
STEELYARD = "/opt/steelyard/server/current/venv/bin/steelyard"


@dataclass(frozen=True)
class Node:
    """A node of molecule.yml. The ports are those that docs/reference/ports.md has for its slot."""

    name: str
    slot: int
    validator: bool = True

    @property
    def directory(self) -> str:
        """Where everything of it is."""
        return f"{PLACE}/{self.name}"

    @property
    def peer_port(self) -> int:
        """GoQuorum's port for other nodes."""
        return 30303 + self.slot

    @property
    def rpc_port(self) -> int:
        """JSON-RPC."""
        return 22000 + self.slot

    @property
    def privacy_port(self) -> int:
        """Tessera's port for other privacy managers."""
        return 9000 + self.slot

    @property
    def sockets(self) -> str:
        """The directory of its privacy manager's sockets."""
        return f"/run/steelyard-tessera-{self.name}"


NODES = [
    Node("network-1", 0),
    Node("network-2", 1),
    Node("acme-admin", 2),
    Node("acme-north", 3, validator=False),
    Node("birch-admin", 4),
]


def address(host) -> str:
    """The machine's address on the wire."""
    return str(host.backend.get_variables()["ansible_host"])


def document(host, path: str):
    """A JSON file of the machine, whoever may read it."""
    with host.sudo():
        return json.loads(host.file(path).content_string)


def rpc(host, node: Node, method: str, *params):
    """A call of JSON-RPC on the host itself."""
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    answer = host.check_output(
        "curl --silent --fail -H 'Content-Type: application/json' --data %s http://127.0.0.1:%s",
        request,
        str(node.rpc_port),
    )
    return json.loads(answer)["result"]
