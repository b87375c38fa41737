"""network.json: what the platform, and a demo, need to know of a network."""

from collections.abc import Sequence

from steelyard.network.node import Node
from steelyard.network.state import PARTS, State
from steelyard.network.status import runs

ENGINE = "quorum"


def document(state: State, nodes: Sequence[Node]) -> dict[str, object]:
    """The form of docs/architecture.md, with processes and logs for a reader."""
    return {
        "engine": ENGINE,
        "consensus": state.choices.consensus,
        "chain_id": state.choices.chain_id,
        "nodes": [
            {
                "name": node.name,
                "rpc_url": node.rpc_url,
                "tessera_url": node.tessera_url,
                "tessera_public_key": node.tessera_public_key,
                "address": node.record.address,
                "enode": node.enode,
                "pids": {
                    part: node.record.processes[part].pid for part in PARTS if runs(node, part)
                },
                "logs": {part: str(node.log(part)) for part in PARTS},
            }
            for node in nodes
        ],
    }
