"""Settings of the gateway."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from steelyard.settings import Part
from steelyard.web.settings import ListenSection

ALL_NODES = "*"
NODE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
UNIX = "unix:"


def _check_loopback(value: str) -> str:
    wanted = "must be http://127.0.0.1:PORT: the engines listen on loopback only"
    try:
        url = urlsplit(value)
        loopback = ip_address(url.hostname or "").is_loopback
        port = url.port
    except ValueError:
        raise ValueError(wanted) from None
    plain = "@" not in value and value == f"http://{url.netloc}"
    if not plain or not loopback or not port:
        raise ValueError(wanted)
    return value


def _check_tessera(value: str) -> str:
    if not value.startswith(UNIX):
        return _check_loopback(value)
    path = value.removeprefix(UNIX)
    if not path.startswith("/") or "\0" in path or len(path) > 107:
        raise ValueError("must be unix: and an absolute path of at most 107 characters")
    return value


class ServedNode(Part):
    """A ledger node of this host."""

    name: str = Field(pattern=f"^{NODE_NAME}$", description="Its name; it stands in the paths.")
    rpc_url: Annotated[str, AfterValidator(_check_loopback)] = Field(
        description="Its JSON-RPC: http on a loopback address."
    )
    tessera: Annotated[str, AfterValidator(_check_tessera)] = Field(
        description="Its privacy manager's third-party API: http on a loopback address, or "
        "unix:/PATH."
    )


class ListedClient(Part):
    """Who may ask, and which nodes."""

    name: str = Field(
        min_length=1, max_length=64, description="The common name of its certificate."
    )
    nodes: tuple[str, ...] = Field(
        min_length=1, description='The nodes that it may ask; ["*"] for all of this host.'
    )
    read_only: bool = Field(
        False, description="Whether it may only read: send no transaction and store no payload."
    )


class GatewaySettings(ListenSection):
    """The gateway before a host's ledger nodes: who may ask which node, and how much."""

    section: ClassVar[str] = "gateway"

    port: int = Field(
        8600, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one."
    )
    client_ca_file: Path = Field(
        description="PEM file with the authorities that sign the clients' certificates."
    )
    client_crl_file: Path | None = Field(
        None,
        description="PEM file with a revocation list of each of them. Without it no certificate "
        "can be revoked.",
    )
    nodes: tuple[ServedNode, ...] = Field(min_length=1, description="The nodes of this host.")
    clients: tuple[ListedClient, ...] = Field(min_length=1, description="Who may ask them.")
    max_body_bytes: int = Field(
        5_242_880,
        ge=1024,
        le=67_108_864,
        description="Largest request body, in bytes; GoQuorum's own limit is the default.",
    )
    max_answer_bytes: int = Field(
        67_108_864, ge=1024, description="Largest answer of a node, in bytes; it is cut off there."
    )
    max_batch: int = Field(1_000, ge=1, le=100_000, description="Calls in one batch at most.")
    max_in_flight: int = Field(
        64, ge=1, le=4096, description="Requests that a client may have under way at each node."
    )
    max_held_bytes: int = Field(
        67_108_864,
        ge=1024,
        description="Request bodies that may be in memory at the same time, in bytes, of all "
        "clients together.",
    )
    wait_seconds: float = Field(
        2.0,
        gt=0,
        le=60,
        description="Time that a request waits when its client has too many under way, in seconds.",
    )
    connect_seconds: float = Field(
        2.0, gt=0, le=60, description="Time in which a node must accept a connection, in seconds."
    )
    answer_seconds: float = Field(
        60.0,
        gt=0,
        le=600,
        description="Time in which a node must have given its whole answer, in seconds; longer "
        "than its clients wait.",
    )
    metrics_port: int = Field(
        8601,
        ge=0,
        le=65535,
        description="TCP port on 127.0.0.1 of /healthz, /readyz and /metrics (http); 0 takes a "
        "free one.",
    )
    metrics_port_file: Path | None = Field(
        None, description="File that this port is written to once the gateway is ready."
    )

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        nodes = [node.name for node in self.nodes]
        clients = [client.name for client in self.clients]
        for what, names in (("nodes", nodes), ("clients", clients)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {twice[0]} is listed twice")
        for client in self.clients:
            if unknown := sorted(set(client.nodes) - {*nodes, ALL_NODES}):
                raise ValueError(f"clients: {client.name} may ask {unknown[0]}, which is no node")
        if self.max_held_bytes < self.max_body_bytes:
            raise ValueError("max_held_bytes must not be below max_body_bytes")
        return self
