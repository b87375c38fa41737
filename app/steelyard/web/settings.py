"""The settings that every HTTP server of the platform has."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field

from steelyard.settings import Section


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long, for every endpoint that does not say otherwise."""

    max_body_bytes: int = 262_144
    read_seconds: float = 10.0
    handler_seconds: float = 30.0


def _loopback() -> tuple[IPv4Network | IPv6Network, ...]:
    return IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")


class ListenSection(Section):
    """Where a server listens and with which certificate."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    certificate: Path = Field(description="PEM file with the server's certificate chain.")
    private_key: Path = Field(description="PEM file with the certificate's private key.")
    port_file: Path | None = Field(
        None, description="File that the chosen port is written to once the server is ready."
    )
    max_body_bytes: int = Field(
        262_144, ge=1024, le=67_108_864, description="Largest request body, in bytes."
    )
    read_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        description="Time in which a request's body, and a connection's first head, must arrive, "
        "in seconds.",
    )
    shutdown_seconds: float = Field(
        20.0, ge=0, le=600, description="Time that open requests get at shutdown, in seconds."
    )
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        description="Least level that is logged: debug, info, warning or error.",
    )


class ServerSection(ListenSection):
    """Where a server listens, with which certificate, and what it allows."""

    handler_seconds: float = Field(
        30.0, gt=0, le=600, description="Time after which a request is given up, in seconds."
    )
    rate_per_second: float = Field(
        100.0, gt=0, description="Requests a second that one client address may make on average."
    )
    rate_burst: int = Field(
        400, ge=1, description="Requests that one client address may make at once."
    )
    metrics_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default_factory=_loopback,
        description="Networks from which /metrics may be read; for others it does not exist.",
    )

    @property
    def limits(self) -> Limits:
        """The part that the endpoints need."""
        return Limits(self.max_body_bytes, self.read_seconds, self.handler_seconds)
