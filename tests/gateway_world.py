"""A gateway on loopback with certificates of a real authority, before nodes of any kind."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from steelyard.gateway.app import build
from steelyard.gateway.settings import GatewaySettings
from steelyard.gateway.trust import MutualTls
from steelyard.ledger.settings import LedgerSettings
from steelyard.pki.authority import Authority, Issued
from steelyard.web.server import running

HASH = "0x" + "12" * 32
PARAMS = {
    "eth_blockNumber": [],
    "eth_call": [{"to": "0x1", "data": "0x", "from": "0x2"}, "latest"],
    "eth_chainId": [],
    "eth_getBlockByNumber": ["0x1", True],
    "eth_getCode": ["0x1", "latest"],
    "eth_getLogs": [{"address": "0x1", "fromBlock": "0x1", "toBlock": "0x2"}],
    "eth_getQuorumPayload": [HASH],
    "eth_getTransactionByHash": [HASH],
    "eth_getTransactionCount": ["0x1", "pending"],
    "eth_getTransactionReceipt": [HASH],
    "eth_sendRawPrivateTransaction": ["0x1", {"privateFor": ["key"]}],
    "eth_sendRawTransaction": ["0x1"],
    "web3_clientVersion": [],
}


def call(method: str = "eth_blockNumber", params: object = (), **changes: object) -> dict[str, Any]:
    """One call, as the ledger writes it."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | changes


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


@dataclass
class FakeNode:
    """A node's two servers, on one socket: what came, and what is answered."""

    came: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[web.BaseRequest, bytes], Awaitable[web.StreamResponse]] | None = None
    url: str = ""
    runner: web.ServerRunner | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.came.append((request.method, request.path, body))
        self.headers.append(dict(request.headers))
        if self.answer is not None:
            return await self.answer(request, body)
        if request.method == "GET" or not body:
            return web.Response(text="I'm up!")
        document = json.loads(body)
        if not isinstance(document, list):
            return web.json_response({"jsonrpc": "2.0", "id": document.get("id"), "result": "0x1"})
        return web.json_response(
            [{"jsonrpc": "2.0", "id": one["id"], "result": "0x1"} for one in document]
        )

    @property
    def bodies(self) -> list[Any]:
        """What came as JSON."""
        return [json.loads(body) for _, _, body in self.came if body]

    async def has_seen(self, many: int) -> None:
        """Wait for so many requests."""
        async with asyncio.timeout(20):
            while len(self.came) < many:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def start(self, site: Callable[[web.ServerRunner], web.BaseSite]) -> None:
        self.runner = web.ServerRunner(web.Server(self.serve, access_log=None))
        await self.runner.setup()
        await site(self.runner).start()

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None
