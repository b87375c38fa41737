"""How the sandbox is configured."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from steelyard.settings import Section

MAX_NODES = 500
MAX_BASE_PORT = 65_535 - 2 * MAX_NODES


class SandboxSettings(Section):
    """Section `sandbox`."""

    section: ClassVar[str] = "sandbox"

    nodes: int = Field(
        default=5, ge=1, le=MAX_NODES, description="Number of nodes, each with a privacy manager."
    )
    directory: Path | None = Field(
        default=None,
        description="Directory that keeps the chain, the payloads and the keys over restarts; "
        "without it everything is in memory and ends with the process.",
    )
    network_file: Path | None = Field(
        default=None,
        description="File that tells the nodes' addresses; network.json in the directory, or in "
        "the working directory, when it is not set.",
    )
    base_port: int = Field(
        default=0,
        ge=0,
        le=MAX_BASE_PORT,
        description="First port: node i takes base_port + 2i and its privacy manager the next; "
        "0 takes free ports, and the same ones again in the same directory.",
    )
    block_period: int = Field(
        default=1000,
        ge=1,
        le=3_600_000,
        description="Milliseconds between blocks that have transactions.",
    )
    empty_block_period: int | None = Field(
        default=None,
        ge=1,
        le=3_600_000,
        description="Milliseconds after which a block is made although nothing waits; the block "
        "period when it is not set.",
    )
    chain_id: int = Field(
        default=1337, ge=1, le=2**31, description="Chain id of public transactions."
    )
    control_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="Port of the fault-injection endpoint (0: a free one); off when it is not set.",
    )
