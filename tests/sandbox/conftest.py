"""A running consortium of three with short blocks, a client, and a deployed contract."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from steelyard.sandbox.consortium import Consortium
from wire_world import Deployed, WireClient


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def consortium() -> AsyncIterator[Consortium]:
    """node-1 and node-2 are parties in these tests, node-3 never is."""
    async with Consortium(nodes=3, block_period=0.02) as consortium:
        yield consortium


@pytest.fixture
def client(consortium: Consortium, session: aiohttp.ClientSession) -> WireClient:
    return WireClient(consortium.network, session)


@pytest.fixture
async def contract(client: WireClient) -> Deployed:
    """A contract of node-1 and node-2."""
    return await client.deploy()
