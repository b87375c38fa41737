"""The settings of the collector."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from steelyard.settings import Part, Section

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


def _check_loopback(url: str) -> str:
    if not url.startswith(("http://127.0.0.1:", "http://[::1]:")):
        raise ValueError("must be http on this host: http://127.0.0.1:PORT/...")
    return url


Loopback = Annotated[str, AfterValidator(_check_loopback)]


class NodeSettings(Part):
    """A ledger node of this host."""

    name: Label = Field(description="Its name.")
    rpc_url: Loopback = Field(description="Its JSON-RPC.")
    tessera: str = Field(
        pattern=r"^(unix:/|http://127\.0\.0\.1:)",
        description="Its privacy manager's client API: unix:/PATH or http://127.0.0.1:PORT.",
    )


class PageSettings(Part):
    """A page of metrics on this host."""

    name: Label = Field(description="What it is.")
    url: Loopback = Field(description="Its address.")
    prefixes: tuple[str, ...] = Field(
        default=("steelyard_",), description="Beginnings of the metrics that are taken over."
    )


class ProbeSettings(Part):
    """A service whose readiness is asked for."""

    name: Label = Field(description="Its name.")
    url: str = Field(pattern=r"^https://", description="The page that says so.")
    ca_file: Path = Field(description="Authority of its certificate.")


class CollectorSettings(Section):
    """Figures of this host."""

    section: ClassVar[str] = "collector"

    directory: Path = Field(description="Directory of node_exporter's text files.")
    every_seconds: float = Field(default=15.0, ge=1, description="Pause between two looks.")
    nodes: tuple[NodeSettings, ...] = Field(default=(), description="The host's ledger nodes.")
    pages: tuple[PageSettings, ...] = Field(default=(), description="Pages of metrics.")
    probes: tuple[ProbeSettings, ...] = Field(
        default=(), description="Services of this host whose readiness is asked for."
    )
    certificates: tuple[Path, ...] = Field(
        default=(), description="Certificates (PEM), or directories of them (*.pem)."
    )
    smartbox_url: Loopback | None = Field(
        default=None, description="The SmartBox's status page, if the host is one."
    )
