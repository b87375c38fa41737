"""One suite for every engine: the sandbox always, the real one where its programs are given."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faultproxy import FaultProxy

from stations import NODES, AbreastLedger, Engine, deploy, new_key, real_programs, references
from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.network.service import LocalNetwork
from wire_world import Deployed, WireClient

STOCK = 16  # contracts deployed side by side on the real engine: they share a block
_Made = TypeVar("_Made")


@pytest.fixture(scope="package")
def real_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """One for all tests that leave it as it is."""
    with real_programs(tmp_path_factory.mktemp("network"), tethered=True) as network:
        yield network


@pytest.fixture(
    params=[
        "sandbox",
        pytest.param("quorum", marks=[pytest.mark.engine, pytest.mark.timeout(400)]),
    ]
)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    if request.param == "quorum":
        network = request.getfixturevalue("real_network")
        yield Engine("quorum", references(network), network=network)
        return
    async for one in _sandbox():
        yield one


@pytest.fixture(scope="package")
def kept() -> dict[str, Any]:
    """What outlives a test: only the real engine's, whose network does."""
    return {}


@pytest.fixture
def once(engine: Engine, kept: dict[str, Any]) -> Callable[..., Awaitable[Any]]:
    """Makes what tests only read once on the real engine, where each transaction costs seconds."""

    async def make(name: str, maker: Callable[[], Awaitable[_Made]]) -> _Made:
        if engine.name == "sandbox":
            return await maker()
        if name not in kept:
            kept[name] = await maker()
        made: _Made = kept[name]
        return made

    return make


@pytest.fixture
def stock(engine: Engine, kept: dict[str, Any]) -> Callable[..., Awaitable[Any]]:
    """Hands out what no other test has had; on the real engine many are made at once."""

    async def take(name: str, maker: Callable[[], Awaitable[_Made]]) -> _Made:
        if engine.name == "sandbox":
            return await maker()
        left: list[_Made] = kept.setdefault(name, [])
        if not left:
            left += await asyncio.gather(*(maker() for _ in range(STOCK)))
        return left.pop()

    return take


@pytest.fixture
async def sandbox() -> AsyncIterator[Engine]:
    """The sandbox alone, for faults that only it can make."""
    async for one in _sandbox():
        yield one


async def _sandbox() -> AsyncIterator[Engine]:
    from steelyard.sandbox.consortium import Consortium

    async with Consortium(nodes=NODES, block_period=0.05) as consortium:
        nodes = tuple(
            NodeRef(one["name"], one["rpc_url"], one["tessera_url"], one["tessera_public_key"])
            for one in consortium.network["nodes"]
        )
        yield Engine("sandbox", nodes, consortium)


@pytest.fixture
def settings() -> LedgerSettings:
    return LedgerSettings(recovery_timeout=5, stall_after=2)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


@pytest.fixture
def everyone(request: pytest.FixtureRequest) -> tuple[NodeRef, ...]:
    """The nodes of the engine that a test runs on, if it runs on one."""
    return request.getfixturevalue("engine").nodes if "engine" in request.fixturenames else ()


@pytest.fixture
async def ledger(
    everyone: tuple[NodeRef, ...], session: aiohttp.ClientSession, settings: LedgerSettings
) -> AsyncIterator[QuorumLedger]:
    one = AbreastLedger(session, settings)
    one.everyone = everyone
    yield one
    await one.close()


@pytest.fixture
def key() -> SigningKey:
    return new_key()


@pytest.fixture
async def writer(own_writer: ContractWriter) -> ContractWriter:
    """The contract of these tests; a module of tests that only read may share one."""
    return own_writer


@pytest.fixture
async def own_writer(
    engine: Engine, ledger: QuorumLedger, stock: Callable[..., Awaitable[ContractWriter]]
) -> ContractWriter:
    """A contract of a fresh station at the first node, private to it and to the second."""
    return await stock("writers", lambda: deploy(engine, ledger, new_key()))


@pytest.fixture
async def sister_writer(
    engine: Engine, ledger: QuorumLedger, stock: Callable[..., Awaitable[ContractWriter]]
) -> ContractWriter:
    """Another station of the same customer."""
    return await stock("writers", lambda: deploy(engine, ledger, new_key()))


@pytest.fixture
def client(engine: Engine, session: aiohttp.ClientSession) -> WireClient:
    """A client of the engine's wire, without the ledger."""
    nodes = [
        {
            "name": node.name,
            "rpc_url": node.rpc_url,
            "tessera_url": node.tessera_url,
            "tessera_public_key": node.tessera_key,
        }
        for node in engine.nodes
    ]
    return WireClient({"nodes": nodes}, session)


@pytest.fixture
async def contract(client: WireClient, stock: Callable[..., Awaitable[Deployed]]) -> Deployed:
    """The small contract of the first two nodes; its wallet has sent nothing else."""
    return await stock("contracts", client.deploy)


@pytest.fixture
def customer_view(engine: Engine, writer: ContractWriter) -> ContractView:
    return replace(writer.view, node=engine.nodes[1])


@pytest.fixture
def stranger_view(engine: Engine, writer: ContractWriter) -> ContractView:
    return replace(writer.view, node=engine.nodes[2])


@pytest.fixture
async def proxy(engine: Engine) -> AsyncIterator[FaultProxy]:
    """A faulty line to the station's node."""
    async with FaultProxy(engine.nodes[0].rpc_url) as one:
        yield one


@pytest.fixture
def proxied(writer: ContractWriter, proxy: FaultProxy) -> ContractWriter:
    """The writer behind the faulty line; another sender than the one that deployed."""
    node = replace(writer.view.node, rpc_url=proxy.url)
    return replace(writer, view=replace(writer.view, node=node))
