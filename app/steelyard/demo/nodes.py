"""A node of the network as the demo asks it, past the APIs."""

import aiohttp

from steelyard.ledger.jsonrpc import JsonRpc
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import NodeRef
from steelyard.ledger.settings import LedgerSettings


def node_at(session: aiohttp.ClientSession, reference: NodeRef, settings: LedgerSettings) -> Node:
    """The node that a reference names."""
    wait = settings.request_timeout
    return Node(JsonRpc(session, reference.rpc_url, reference.name, wait), reference.name)
