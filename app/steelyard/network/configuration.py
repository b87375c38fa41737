"""Configuration files and command lines of the engines."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.network.genesis import GAS_LIMIT
from steelyard.network.node import LOOPBACK, Node
from steelyard.network.state import Choices
from steelyard.network.tessera import Tessera

_MODULES = "eth,net,web3,quorumExtension"


def write_configuration(node: Node, nodes: Sequence[Node], tessera: Tessera) -> None:
    """Write all files of a node that are neither keys nor data. Made anew at each start."""
    enodes = json.dumps([one.enode for one in nodes], indent=2) + "\n"
    for name in ("static-nodes.json", "permissioned-nodes.json"):
        (node.geth_directory / name).write_text(enodes, "ascii")
    # geth's --port would listen on every interface.
    toml = f'[Node.P2P]\nListenAddr = "{LOOPBACK}:{node.record.peer_port}"\n'
    geth_configuration(node).write_text(toml, "ascii")
    document = tessera_document(node, nodes, reserves_value=tessera.reserves_value)
    tessera_configuration(node).write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def geth_configuration(node: Node) -> Path:
    """The file that geth's --config names."""
    return node.directory / "geth.toml"


def tessera_configuration(node: Node) -> Path:
    """The file that Tessera's -configfile names."""
    return node.tessera_directory / "config.json"


def tessera_document(
    node: Node, nodes: Sequence[Node], *, reserves_value: bool = False
) -> dict[str, Any]:
    """Tessera's configuration in the form that 0.10 to 24 read.

    `serverConfigs` and `app` have had these names since 0.8; `enabled` is needed until 0.10.2, and
    what a release does not know it warns of. H2 2, of Tessera 22 and newer, takes VALUE for a
    keyword unless it is told not to; older ones refuse the setting that says so.
    H2 keeps what is committed to itself for half a second unless WRITE_DELAY is 0: payloads that a
    killed Tessera had taken would be lost (docs/decisions/tessera-durability.md).
    """
    directory = node.tessera_directory
    keywords = ";NON_KEYWORDS=VALUE" if reserves_value else ""
    database = f"{directory}/database;MODE=Oracle;WRITE_DELAY=0;TRACE_LEVEL_SYSTEM_OUT=0{keywords}"
    return {
        "useWhiteList": False,
        "jdbc": {
            "username": "sa",
            "password": "",
            "url": f"jdbc:h2:{database}",
            "autoCreateTables": True,
        },
        "serverConfigs": [
            _server("Q2T", f"unix:{node.socket}"),
            _server("ThirdParty", node.tessera_url, bindingAddress=node.tessera_url),
            _server(
                "P2P", node.privacy_url, bindingAddress=node.privacy_url, sslConfig={"tls": "OFF"}
            ),
        ],
        "peer": [{"url": one.privacy_url} for one in nodes],
        "keys": {
            "passwords": [],
            "keyData": [
                {
                    "privateKeyPath": str(directory / "tm.key"),
                    "publicKeyPath": str(directory / "tm.pub"),
                }
            ],
        },
        "alwaysSendTo": [],
    }


def _server(app: str, address: str, **more: object) -> dict[str, object]:
    common = {"app": app, "enabled": True, "communicationType": "REST"}
    return common | {"serverAddress": address} | more


def geth_command(geth: Path, node: Node, choices: Choices) -> list[str]:
    """The node's command line."""
    raft = choices.consensus == "raft"
    options: dict[str, object] = {
        "--config": geth_configuration(node),
        "--datadir": node.geth_directory,
        "--networkid": choices.chain_id,
        "--nat": "none",
        "--syncmode": "full",
        # States in memory only would be lost with the process, and the chain go back to the last
        # that was written (docs/decisions/network-power-cut.md).
        "--gcmode": "archive",
        "--miner.gasprice": 0,
        # Both ends where the genesis starts: a block's limit then stays as it is.
        "--miner.gastarget": GAS_LIMIT,
        "--miner.gaslimit": GAS_LIMIT,
        "--miner.recommit": choices.recommit,
        "--http.addr": LOOPBACK,
        "--http.port": node.record.rpc_port,
        "--http.api": f"{_MODULES},{'raft' if raft else 'istanbul'}",
    }
    switches = ["--nodiscover", "--permissioned", "--http", "--ipcdisable"]
    if raft:
        options |= {
            "--raftport": node.record.raft_port,
            "--raftblocktime": choices.raft_block_time,
        }
        switches += ["--raft", "--emitcheckpoints"]
    elif node.votes:
        options |= {"--miner.threads": 1}
        switches += ["--mine"]
    return [str(geth), *switches, *(str(part) for pair in options.items() for part in pair)]


def geth_environment(node: Node) -> dict[str, str]:
    """How geth learns where its privacy manager is."""
    return {"PRIVATE_CONFIG": str(node.socket)}
