"""The same engines behind a gateway, as the platform of another host has them.

The faulty line is between the gateway and the node: what is lost there must mean to the ledger
what it means without a gateway.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from faultproxy import FaultProxy

from gateway_world import Certificates, ledger_settings, serving
from stations import Engine
from steelyard.ledger.connections import open_session
from steelyard.ledger.protocol import ContractWriter
from steelyard.ledger.settings import LedgerSettings

pytest.register_assert_rewrite("test_register", "test_query", "test_verify", "test_recovery")


@dataclass(frozen=True, slots=True)
class Behind(Engine):
    """An engine with its nodes' places at a gateway, and a faulty line to the first of them."""

    proxy: FaultProxy | None = None
    faulty_url: str = ""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def engine(engine: Engine, certificates: Certificates) -> AsyncIterator[Behind]:
    first, *_ = engine.nodes
    async with FaultProxy(first.rpc_url) as proxy:
        nodes = [
            {"name": node.name, "rpc_url": node.rpc_url, "tessera": node.tessera_url}
            for node in engine.nodes
        ]
        nodes.append({"name": "faulty", "rpc_url": proxy.url, "tessera": first.tessera_url})
        settings = certificates.settings(nodes, [{"name": "platform", "nodes": ["*"]}])
        async with serving(settings) as url:
            places = tuple(
                replace(
                    node,
                    rpc_url=f"{url}/{node.name}/rpc",
                    tessera_url=f"{url}/{node.name}/tessera",
                )
                for node in engine.nodes
            )
            yield Behind(
                engine.name, places, engine.consortium, engine.network, proxy, f"{url}/faulty/rpc"
            )


@pytest.fixture
def settings(certificates: Certificates) -> LedgerSettings:
    return ledger_settings(certificates, "platform", recovery_timeout=5, stall_after=2)


@pytest.fixture
async def session(settings: LedgerSettings) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(settings) as one:
        yield one


@pytest.fixture
def stock() -> Callable[..., Awaitable[Any]]:
    """Nothing outlives a test here: the next one's gateway has another port."""

    async def take(_: str, maker: Callable[[], Awaitable[Any]]) -> Any:
        return await maker()

    return take


@pytest.fixture
def once(stock: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    return stock


@pytest.fixture
def proxy(engine: Behind) -> FaultProxy | None:
    return engine.proxy


@pytest.fixture
def proxied(writer: ContractWriter, engine: Behind) -> ContractWriter:
    node = replace(writer.view.node, rpc_url=engine.faulty_url)
    return replace(writer, view=replace(writer.view, node=node))
