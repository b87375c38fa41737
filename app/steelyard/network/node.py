"""Where the parts of one node are: addresses and paths."""

from dataclasses import dataclass
from pathlib import Path

from steelyard.network.state import NodeRecord, Part

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its privacy manager, below the network's directory."""

    record: NodeRecord
    root: Path
    raft: bool
    votes: bool = True

    @property
    def name(self) -> str:
        """node-1 and so on."""
        return self.record.name

    @property
    def directory(self) -> Path:
        """Everything of this node."""
        return self.root / self.name

    @property
    def geth_directory(self) -> Path:
        """The node's data directory."""
        return self.directory / "geth"

    @property
    def tessera_directory(self) -> Path:
        """The privacy manager's keys, configuration, database and socket."""
        return self.directory / "tessera"

    @property
    def node_key_file(self) -> Path:
        """The secret node key."""
        return self.geth_directory / "geth" / "nodekey"

    @property
    def socket(self) -> Path:
        """Where the node reaches its privacy manager."""
        return self.tessera_directory / "tm.ipc"

    def log(self, part: Part) -> Path:
        """The output of a part."""
        return self.directory / f"{part}.log"

    @property
    def rpc_url(self) -> str:
        """The node's JSON-RPC."""
        return f"http://{LOOPBACK}:{self.record.rpc_port}"

    @property
    def tessera_url(self) -> str:
        """The privacy manager's third-party API."""
        return f"http://{LOOPBACK}:{self.record.third_party_port}"

    @property
    def privacy_url(self) -> str:
        """Where other privacy managers reach this one."""
        return f"http://{LOOPBACK}:{self.record.privacy_port}"

    @property
    def tessera_public_key(self) -> str:
        """What a transaction names this party by, in base64."""
        return self.record.public_key

    @property
    def enode(self) -> str:
        """How other nodes know and reach this one."""
        raft = f"&raftport={self.record.raft_port}" if self.raft else ""
        place = f"{LOOPBACK}:{self.record.peer_port}?discport=0{raft}"
        return f"enode://{self.record.identity}@{place}"

    def ports(self, part: Part) -> dict[str, int]:
        """The ports that a part listens on, by what they are for."""
        if part == "tessera":
            return {
                "Tessera's third-party API": self.record.third_party_port,
                "Tessera's peers": self.record.privacy_port,
            }
        ports = {"JSON-RPC": self.record.rpc_port, "peers": self.record.peer_port}
        return ports | ({"Raft": self.record.raft_port} if self.raft else {})
