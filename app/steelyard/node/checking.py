"""Looks a node's directory over before something is changed."""

from pathlib import Path
from typing import Any

from steelyard.network.keys import orders_agree
from steelyard.node.asking import NodeClient
from steelyard.node.errors import ForeignGenesis, KeysUnusable, NodeProblem, Unanswered
from steelyard.node.genesis import Genesis, read_genesis
from steelyard.node.keys import NODE_KEY, TESSERA, show_keys

GENESIS = "genesis.json"


def check(
    directory: Path,
    genesis: Path | None = None,
    *,
    sha256: str | None = None,
    client: NodeClient | None = None,
) -> dict[str, Any]:
    """What a node's directory holds, if all of it belongs together; public halves only.

    `genesis` is the file, else genesis.json beside the directory; `sha256` what it must have;
    `client` a running node that must be on it. `may_vote` tells whether the node's address agrees
    in its order with the validators. Raises KeysUnusable, ForeignGenesis, NodeProblem.
    """
    keys = show_keys(directory)
    for path in (directory / NODE_KEY, directory / TESSERA / "tm.key"):
        if mode := path.stat().st_mode & 0o077:
            raise KeysUnusable(f"{path} is open to others than its owner (mode ...{mode:02o})")
    path = genesis or directory.resolve().parent / GENESIS
    found = read_genesis(path)
    if sha256 is not None and found.sha256 != sha256.lower():
        raise ForeignGenesis(f"{path} has the SHA-256 {found.sha256}, and not {sha256.lower()}")
    if not orders_agree(found.validators):
        raise NodeProblem(
            f"the validators of {path} sort differently by bytes and by checksum: restarted nodes "
            "disagree with the others about whose turn it is"
        )
    if client is not None:
        _compare(path, found, client)
    return keys.as_dict() | {
        "genesis": found.sha256,
        "chain_id": found.chain_id,
        "validators": list(found.validators),
        "may_vote": orders_agree([*{*found.validators, keys.address}]),
    }


def _compare(path: Path, genesis: Genesis, client: NodeClient) -> None:
    """Raise ForeignGenesis unless the node's block 0 is of this file, as far as it tells."""
    block = client.call("eth_getBlockByNumber", "0x0", False)
    if not isinstance(block, dict):
        raise Unanswered("eth_getBlockByNumber: not in a known form")
    told = {name: str(block.get(name)) for name in ("extraData", "mixHash", "gasLimit")}
    meant = {name: str(genesis.document.get(name)) for name in told}
    if client.chain_id() != genesis.chain_id or told != meant:
        raise ForeignGenesis(f"the node at {client.rpc_url} is on another chain than {path}")
