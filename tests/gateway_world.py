"""A gateway on loopback with certificates of a real authority, before nodes of any kind."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from steelyard.gateway.app import build
from steelyard.gateway.settings import GatewaySettings
from steelyard.gateway.trust import MutualTls
from steelyard.ledger.settings import LedgerSettings
from steelyard.pki.authority import Authority, Issued
from steelyard.web.server import running


@dataclass
class Certificates:
    """An authority of a consortium, and what it issued."""

    directory: Path
    authority: Authority = field(init=False)
    server: Issued = field(init=False)
    clients: dict[str, Issued] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority = Authority.create(self.directory / "authority", "Consortium")
        self.server = self.authority.issue_server(
            "gateway", ["127.0.0.1", "localhost"], self.directory
        )

    def client(self, name: str) -> Issued:
        """A client's certificate, the same at every call."""
        if name not in self.clients:
            self.clients[name] = self.authority.issue_client(name, self.directory)
        return self.clients[name]

    def context(self, client: Issued | None) -> ssl.SSLContext:
        """A client's context, which trusts the gateway."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate_path))
        if client is not None:
            context.load_cert_chain(client.certificate_path, client.key_path)
        return context

    def ledger_files(self, name: str) -> dict[str, Path]:
        """The settings of the section ledger with which a client goes through the gateway."""
        issued = self.client(name)
        return {
            "ca_file": self.authority.certificate_path,
            "certificate_file": issued.certificate_path,
            "private_key_file": issued.key_path,
        }

    def settings(
        self, nodes: Sequence[dict[str, str]], clients: Sequence[dict[str, Any]], **changes: Any
    ) -> GatewaySettings:
        """A gateway's settings, with free ports."""
        values: dict[str, Any] = {
            "port": 0,
            "metrics_port": 0,
            "certificate": self.server.certificate_path,
            "private_key": self.server.key_path,
            "client_ca_file": self.authority.certificate_path,
            "client_crl_file": self.authority.crl_path,
            "nodes": nodes,
            "clients": clients,
        }
        return GatewaySettings(**(values | changes))


@asynccontextmanager
async def serving(settings: GatewaySettings, reload_seconds: float = 10) -> AsyncIterator[str]:
    """A gateway that runs in this process; the value is its URL."""
    tls = MutualTls(settings)
    app = build(settings, tls)
    async with running(app, settings, certificate=tls, reload_seconds=reload_seconds) as url:
        yield url


@dataclass
class Client:
    """Who asks a gateway."""

    session: aiohttp.ClientSession
    url: str

    async def rpc(self, body: Any, node: str = "one", **named: Any) -> tuple[int, Any]:
        """Status and answer of a JSON-RPC body: bytes as they are, else written as JSON."""
        named |= {"json": body} if not isinstance(body, bytes) else {"data": body}
        named.setdefault("headers", {"Content-Type": "application/json"})
        async with self.session.post(f"{self.url}/{node}/rpc", **named) as response:
            return response.status, await response.json(content_type=None)


@asynccontextmanager
async def asking(
    certificates: Certificates, url: str, issued: Issued | None
) -> AsyncIterator[Client]:
    """A client with this certificate, on connections that are kept."""
    connector = aiohttp.TCPConnector(ssl=certificates.context(issued))
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(20)
    ) as session:
        yield Client(session, url)


def ledger_settings(certificates: Certificates, name: str, **changes: Any) -> LedgerSettings:
    """The ledger's settings of a client."""
    return LedgerSettings(**certificates.ledger_files(name), **changes)
