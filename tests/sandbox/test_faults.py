"""Outages on demand."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest

from steelyard.sandbox.consortium import Consortium
from steelyard.sandbox.errors import SandboxProblem
from steelyard.sandbox.faults import Fault, FaultKind
from wire_world import CONTRACT, KEEP, Wallet, calldata, hexed


async def test_a_node_that_is_down_refuses_and_comes_back_with_the_blocks(
    consortium, client, contract
):
    """The others go on; afterwards it answers on its old port and has seen everything."""
    await consortium.node_down("node-2")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.result(1, "eth_blockNumber")
    sent = await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 7))
    await client.receipt(0, sent.hash)
    await consortium.node_up("node-2")
    assert (await client.receipt(1, sent.hash))["logs"]
    assert await client.read(1, contract.address, 1) == 7


async def test_a_node_goes_down_under_an_open_connection(consortium, client):
    """Who waits for an answer gets an error, not a hang."""
    consortium.inject("node-1", Fault(FaultKind.DELAY, seconds=30))
    waiting = asyncio.create_task(client.result(0, "eth_blockNumber"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await consortium.node_down("node-1")
        with pytest.raises(aiohttp.ClientConnectionError):
            await waiting


async def test_a_partys_manager_that_is_down_fails_the_send(consortium, client, contract):
    """First it is offline, then nobody has its key; later the same send goes through."""
    await consortium.privacy_manager_down("node-2")
    digest = await client.store(0, calldata(KEEP, 1, 7))
    raw = contract.wallet.sign(contract.to, digest)
    error = (await client.offer(0, raw, [1]))["error"]
    assert error["message"].startswith("410 status: ")
    assert "Connection error while communicating with http://" in error["message"]
    error = (await client.offer(0, raw, [1]))["error"]
    assert error["message"] == f"404 status: Recipient not found for key: {client.key(1)}"
    address = hexed(contract.wallet.address)
    assert await client.result(0, "eth_getTransactionCount", address, "pending") == "0x1"
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.store(1, b"x")
    await consortium.privacy_manager_up("node-2")
    sent = (await client.offer(0, raw, [1]))["result"]
    assert (await client.receipt(1, sent))["logs"]


async def test_a_node_ends_where_it_needs_its_manager_in_vain(consortium, client, contract):
    """As GoQuorum does, it takes nothing and is gone until it is started again."""
    digest = await client.store(0, calldata(KEEP, 1, 7))
    raw = contract.wallet.sign(contract.to, digest)
    for ask in (
        lambda: client.offer(0, raw, [1]),
        lambda: client.ask(0, "eth_getQuorumPayload", hexed(digest)),
    ):
        await consortium.privacy_manager_down("node-1")
        assert await client.result(0, "eth_blockNumber")
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask(0, "eth_blockNumber")
        assert len(consortium.ledger.pool) == 0
        await consortium.privacy_manager_up("node-1")
        await consortium.node_up("node-1")
    sent = (await client.offer(0, raw, [1]))["result"]
    assert (await client.receipt(0, sent))["logs"]


async def test_a_node_without_its_manager_ends_over_anybodys_transaction(
    consortium, client, contract
):
    """A party or not; when it is back it has seen everything."""
    await consortium.privacy_manager_down("node-2")
    await consortium.privacy_manager_down("node-3")
    sent = await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 7), parties=())
    await client.receipt(0, sent.hash)
    for name in ("node-2", "node-3"):
        while consortium.member(name).rpc.up:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        await consortium.privacy_manager_up(name)
        await consortium.node_up(name)
    for node in (1, 2):
        assert (await client.receipt(node, sent.hash))["logs"] == []


async def test_what_a_node_took_can_be_lost(consortium, client, contract):
    """Only what came through it is forgotten, and may come again."""
    consortium.halt_blocks()
    ours = await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 7))
    theirs = await client.send(Wallet(), b"", CONTRACT, node=1)
    assert consortium.lose_pool("node-1") == 1
    assert await client.result(0, "eth_getTransactionByHash", ours.hash) is None
    assert await client.result(0, "eth_getTransactionByHash", theirs.hash)
    raw = contract.wallet.sign(contract.to, ours.digest, nonce=1)
    assert await client.result(0, "eth_sendRawTransaction", hexed(raw)) == ours.hash
    consortium.resume_blocks()
    assert (await client.receipt(1, ours.hash))["logs"]


async def test_a_dropped_response_was_carried_out(consortium, client, contract):
    """The connection is cut, yet the transaction is mined; the next request is answered."""
    consortium.drop_response("node-1", "eth_sendRawPrivateTransaction")
    digest = await client.store(0, calldata(KEEP, 1, 7))
    raw = contract.wallet.sign(contract.to, digest)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.offer(0, raw, [1])
    address = hexed(contract.wallet.address)
    await consortium.make_block()
    assert await client.result(0, "eth_getTransactionCount", address, "latest") == "0x2"
    assert await client.read(0, contract.address, 1) == 7


async def test_a_dropped_request_was_not(consortium, client, contract):
    """The connection is cut, and nothing happened: the same request may come again."""
    consortium.inject(
        "node-1", Fault(FaultKind.DROP_REQUEST, "eth_sendRawPrivateTransaction", count=2)
    )
    digest = await client.store(0, calldata(KEEP, 1, 7))
    raw = contract.wallet.sign(contract.to, digest)
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.offer(0, raw, [1])
    assert "result" in await client.offer(0, raw, [1])


async def test_faults_at_a_privacy_manager(consortium, client):
    """They are aimed by path; an error is an HTTP status."""
    consortium.inject("node-1", Fault(FaultKind.ERROR, "/storeraw"), at="tessera")
    with pytest.raises(AssertionError, match="fault on demand"):
        await client.store(0, b"x")
    consortium.drop_response("node-1", "/storeraw", at="tessera")
    held = len(consortium.member("node-1").node.manager.raw)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.store(0, b"x")
    assert len(consortium.member("node-1").node.manager.raw) == held + 1
    await client.store(0, b"x")


async def test_faults_can_be_forgotten(consortium, client):
    """After clear_faults all is well."""
    consortium.drop_response("node-1", count=100)
    consortium.drop_response("node-1", count=100, at="tessera")
    consortium.clear_faults()
    await client.result(0, "eth_blockNumber")
    await client.store(0, b"x")


async def test_a_halted_chain_takes_transactions_and_mines_none(consortium, client):
    """Reads go on, the head stands still, and it all goes through afterwards."""
    consortium.halt_blocks()
    sent = await client.send(Wallet(), b"", CONTRACT)
    head = await client.result(0, "eth_blockNumber")
    await asyncio.sleep(0.1)
    assert await client.result(0, "eth_blockNumber") == head
    assert await client.result(0, "eth_getTransactionReceipt", sent.hash) is None
    consortium.resume_blocks()
    await client.mined(sent)


def two_ports() -> tuple[socket.socket, socket.socket]:
    """Two sockets on neighbouring ports."""
    while True:
        first, second = socket.socket(), socket.socket()
        first.bind(("127.0.0.1", 0))
        with contextlib.suppress(OSError, OverflowError):
            second.bind(("127.0.0.1", first.getsockname()[1] + 1))
            return first, second
        first.close()
        second.close()


async def test_a_port_that_is_taken(session):
    """The sandbox says which, and leaves no other open."""
    first, second = two_ports()
    base = first.getsockname()[1]
    first.close()
    second.listen()
    with second, pytest.raises(SandboxProblem, match=f"127.0.0.1:{base + 1} cannot be bound"):
        await Consortium(nodes=2, base_port=base).start()
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get(f"http://127.0.0.1:{base}/")


async def test_stopping_does_not_wait_for_idle_connections(session):
    """A client's keep-alive connection holds nothing up."""
    consortium = Consortium(nodes=2)
    await consortium.start()
    async with session.get(consortium.members[0].tessera.url + "/upcheck") as response:
        assert response.status == 200
    async with asyncio.timeout(10):
        await consortium.stop()


async def test_ports_follow_the_base(session):
    """Node i at base + 2i, its privacy manager at the next."""
    first, second = two_ports()
    base = first.getsockname()[1]
    first.close()
    second.close()
    async with Consortium(nodes=1, base_port=base) as consortium:
        assert consortium.network["nodes"][0]["rpc_url"] == f"http://127.0.0.1:{base}"
        assert consortium.network["nodes"][0]["tessera_url"] == f"http://127.0.0.1:{base + 1}"
