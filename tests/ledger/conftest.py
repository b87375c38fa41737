"""One suite for every engine: the sandbox always, the real one where its programs are given."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from faultproxy import FaultProxy

from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.network.programs import GETH_VARIABLE, TESSERA_VARIABLE
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings

REAL_NODES = 3  # the station's, the customer's, and one that is no party


@dataclass(frozen=True, slots=True)
class Engine:
    """The nodes to test against. `consortium` is the sandbox's, for faults only it can make."""

    name: str
    nodes: tuple[NodeRef, ...]
    consortium: object = None


@pytest.fixture(scope="session")
def real_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network of the real programs, or a skip that says what is missing."""
    missing = [name for name in (GETH_VARIABLE, TESSERA_VARIABLE) if not os.environ.get(name)]
    if missing:
        pytest.skip(f"the real engine needs {' and '.join(missing)}")
    directory = tmp_path_factory.mktemp("network")
    with LocalNetwork(directory, NetworkSettings(nodes=REAL_NODES)) as network:
        yield network


@pytest.fixture(scope="session")
def real_nodes(real_network: LocalNetwork) -> tuple[NodeRef, ...]:
    """The real network's nodes, as the ledger knows them."""
    return tuple(
        NodeRef(node.name, node.rpc_url, node.tessera_url, node.tessera_public_key)
        for node in real_network.nodes
    )


@pytest.fixture(
    params=[
        "sandbox",
        pytest.param("quorum", marks=[pytest.mark.engine, pytest.mark.timeout(400)]),
    ]
)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    if request.param == "quorum":
        yield Engine("quorum", request.getfixturevalue("real_nodes"))
        return
    async for one in _sandbox():
        yield one


@pytest.fixture
async def sandbox() -> AsyncIterator[Engine]:
    """The sandbox alone, for faults that only it can make."""
    async for one in _sandbox():
        yield one


async def _sandbox() -> AsyncIterator[Engine]:
    from steelyard.sandbox.consortium import Consortium

    async with Consortium(nodes=REAL_NODES, block_period=0.05) as consortium:
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
async def ledger(
    session: aiohttp.ClientSession, settings: LedgerSettings
) -> AsyncIterator[QuorumLedger]:
    one = QuorumLedger(session, settings)
    yield one
    await one.close()


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(secrets.token_bytes(32))


@pytest.fixture
async def writer(engine: Engine, ledger: QuorumLedger, key: SigningKey) -> ContractWriter:
    """A contract of a fresh station at the first node, private to it and to the second."""
    return await deploy(engine, ledger, key)


async def deploy(engine: Engine, ledger: QuorumLedger, key: SigningKey) -> ContractWriter:
    station, customer, *_ = engine.nodes
    deployment = await ledger.deploy(key, station, [customer.tessera_key])
    view = ContractView(deployment.address, station)
    return ContractWriter(view, key, (customer.tessera_key,))


@pytest.fixture
async def sister_writer(engine: Engine, ledger: QuorumLedger) -> ContractWriter:
    """Another station of the same customer."""
    return await deploy(engine, ledger, SigningKey(secrets.token_bytes(32)))


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
