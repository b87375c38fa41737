"""How a local network is configured."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from steelyard.settings import Section

MAX_NODES = 20
PORTS_PER_NODE = 5
MAX_BASE_PORT = 65_535 - PORTS_PER_NODE * MAX_NODES

Consensus = Literal["qbft", "raft"]
RECOMMIT = r"^[1-9][0-9]{0,4}(ms|s)$"
_SHA256 = r"^[0-9a-f]{64}$"


class NetworkSettings(Section):
    """Section `network`. The engines' programs are named by `STEELYARD_GETH` (the geth binary) and
    `STEELYARD_TESSERA` (an uber jar, an unpacked distribution or its bin/tessera); what is not
    named comes from the mirror, and geth from its release where there is no mirror.
    """

    section: ClassVar[str] = "network"

    directory: Path = Field(
        default=Path("network"), description="Directory of keys, chain, databases and logs."
    )
    nodes: int = Field(
        default=5, ge=1, le=MAX_NODES, description="Number of nodes, each with a privacy manager."
    )
    validators: int = Field(
        default=0,
        ge=0,
        le=MAX_NODES,
        description="QBFT: how many nodes vote, the first ones; the others follow. 0: all.",
    )
    consensus: Consensus = Field(default="qbft", description="Consensus: qbft or raft.")
    chain_id: int = Field(
        default=1337, ge=1, le=2**31, description="Chain id, and number of the network."
    )
    base_port: int = Field(
        default=0,
        ge=0,
        le=MAX_BASE_PORT,
        description=f"First port; a node takes {PORTS_PER_NODE} in a row (JSON-RPC, peers, "
        "Tessera's third-party API, Tessera's peers, Raft); 0 takes free ones.",
    )
    block_period: int = Field(default=1, ge=1, le=3600, description="QBFT: seconds between blocks.")
    empty_block_period: int = Field(
        default=5,
        ge=0,
        le=3600,
        description="QBFT: seconds after which an empty block is made; 0: the block period.",
    )
    raft_block_time: int = Field(
        default=50, ge=1, le=60_000, description="Raft: milliseconds between blocks."
    )
    recommit: str = Field(
        default="1s",
        pattern=RECOMMIT,
        description="How often a node prepares its next block anew (geth's --miner.recommit).",
    )
    heap: int = Field(
        default=256, ge=64, le=65_536, description="Megabytes of heap of each Tessera."
    )
    start_timeout: float = Field(
        default=240, gt=0, description="Seconds that each step of the start may take."
    )
    stop_timeout: float = Field(
        default=20, gt=0, description="Seconds that a process gets to end before it is killed."
    )
    java: Path | None = Field(
        default=None,
        description="Java program that runs Tessera; that of JAVA_HOME, or of the path, when it is "
        "not set.",
    )
    cache_directory: Path | None = Field(
        default=None,
        description="Directory of downloaded programs; steelyard in XDG_CACHE_HOME or ~/.cache "
        "when it is not set.",
    )
    mirror_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Directory of a web server that holds the engines' archives under the names "
        "that their makers gave them; nothing is fetched from elsewhere when it is set.",
    )
    geth_version: str = Field(
        default="24.4.1", pattern=r"^[0-9.]+$", description="GoQuorum release to download."
    )
    geth_release_url: str = Field(
        default="https://github.com/Consensys/quorum/releases/download/v{version}",
        pattern=r"^https?://",
        description="Where GoQuorum's release is downloaded from without a mirror.",
    )
    geth_checksum: str | None = Field(
        default=None,
        pattern=_SHA256,
        description="SHA-256 of GoQuorum's archive; known here for 24.4.1 on Linux amd64.",
    )
    tessera_archive: str = Field(
        default="tessera-dist-24.4.2.tar",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(tar|tar\.gz|tgz|jar)$",
        description="Tessera's archive at the mirror: a distribution's .tar, or an uber .jar.",
    )
    tessera_checksum: str | None = Field(
        default=None,
        pattern=_SHA256,
        description="SHA-256 of Tessera's archive; without it none is downloaded.",
    )

    @model_validator(mode="after")
    def _voters_are_nodes(self) -> Self:
        if self.validators and self.consensus == "raft":
            raise ValueError("validators: with Raft every node votes")
        if self.validators > self.nodes:
            raise ValueError(
                f"validators: {self.validators} cannot vote where there are {self.nodes} nodes"
            )
        return self
