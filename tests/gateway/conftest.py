"""A gateway before a fake node, which keeps what reaches it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway_world import Certificates, Client, FakeNode, asking, serving
from steelyard.pki.authority import Issued

CLIENTS = (
    {"name": "platform", "nodes": ["*"]},
    {"name": "verifier", "nodes": ["one"], "read_only": True},
)


@pytest.fixture(scope="session")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for tests that revoke none."""
    return Certificates(tmp_path_factory.mktemp("issued"))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Certificates of an authority of a test's own."""
    return Certificates(tmp_path / "own")


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    one = FakeNode()
    await one.start(lambda runner: web.TCPSite(runner, "127.0.0.1", 0))
    assert one.runner is not None
    one.url = f"http://127.0.0.1:{one.runner.addresses[0][1]}"
    yield one
    await one.stop()


Open = Callable[..., Awaitable[str]]


@pytest.fixture
async def open_gateway(node: FakeNode, issued: Certificates) -> AsyncIterator[Open]:
    """Starts a gateway before the fake node, as `one` and as `two`; its URL."""
    async with AsyncExitStack() as stack:

        async def start(
            certificates: Certificates = issued, reload_seconds: float = 10, **changes: Any
        ) -> str:
            nodes = [
                {"name": name, "rpc_url": node.url, "tessera": node.url} for name in ("one", "two")
            ]
            changes.setdefault("nodes", nodes)
            settings = certificates.settings(clients=CLIENTS, **changes)
            return await stack.enter_async_context(serving(settings, reload_seconds))

        yield start


@pytest.fixture
async def ask(issued: Certificates) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """A client of a gateway, by the name of its certificate."""
    async with AsyncExitStack() as stack:

        async def make(
            url: str, name: str | Issued | None = "platform", certificates: Certificates = issued
        ) -> Client:
            shown = certificates.client(name) if isinstance(name, str) else name
            return await stack.enter_async_context(asking(certificates, url, shown))

        yield make


@pytest.fixture
async def platform(open_gateway: Open, ask: Callable[..., Awaitable[Client]]) -> Client:
    """The platform before a gateway as it is by default."""
    return await ask(await open_gateway())


@pytest.fixture
def hold(node: FakeNode) -> asyncio.Event:
    """The fake node answers when it is set."""
    gate = asyncio.Event()

    async def answer(_: web.BaseRequest, __: bytes) -> web.StreamResponse:
        await gate.wait()
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": "0x1"})

    node.answer = answer
    return gate
