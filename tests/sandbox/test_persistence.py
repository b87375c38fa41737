"""What a directory keeps: the same chain and the same private states after any end."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from steelyard.sandbox.consortium import Consortium
from steelyard.sandbox.errors import SandboxProblem
from steelyard.sandbox.store import LedgerStore
from wire_world import CONTRACT, KEEP, Wallet, WireClient, calldata, hexed

LOG = "ledger.log"


async def fill(directory: Path, values: int = 3):
    """A consortium with a contract that keeps some values; what its nodes say at the end."""
    async with (
        Consortium(nodes=3, block_period=0.02, directory=directory) as consortium,
        aiohttp.ClientSession() as session,
    ):
        client = WireClient(consortium.network, session)
        wallet = Wallet()
        sent = await client.mined(await client.send(wallet, b"", CONTRACT))
        address = sent.receipts[0]["contractAddress"]
        for key in range(values):
            sent = await client.mined(
                await client.send(wallet, bytes.fromhex(address[2:]), calldata(KEEP, key, key + 1))
            )
        return wallet, address, sent, await told(client, address, sent)


async def told(client: WireClient, address: str, sent):
    """Everything that a client may ask three nodes."""
    number = sent.receipts[0]["blockNumber"]
    return [
        (
            await client.result(node, "eth_getBlockByNumber", number, True),
            await client.result(node, "eth_getTransactionReceipt", sent.hash),
            await client.result(node, "eth_getCode", address, "latest"),
            await client.result(node, "eth_getQuorumPayload", hexed(sent.digest)),
            await client.result(node, "eth_getLogs", {"fromBlock": "0x0"}),
            [await client.call(node, address, calldata(2, key)) for key in range(3)],
            [await client.call(node, address, calldata(2, 2), hex(int(number, 16) - 1))],
        )
        for node in range(3)
    ]


async def test_a_restart_brings_everything_back(tmp_path):
    """Hashes, receipts, payloads, logs, states now and before: all nodes say what they said."""
    wallet, address, sent, before = await fill(tmp_path)
    async with (
        Consortium(nodes=3, block_period=0.02, directory=tmp_path) as consortium,
        aiohttp.ClientSession() as session,
    ):
        client = WireClient(consortium.network, session)
        assert await told(client, address, sent) == before
        await client.mined(
            await client.send(wallet, bytes.fromhex(address[2:]), calldata(KEEP, 9, 9))
        )
        assert await client.read(1, address, 9) == 9


async def test_keys_and_ports_stay(tmp_path):
    """A restarted consortium has the same network.json."""
    networks = []
    for _ in range(2):
        async with Consortium(nodes=2, directory=tmp_path) as consortium:
            networks.append(consortium.network)
    assert networks[0] == networks[1]


async def test_a_stored_payload_survives(tmp_path):
    """Storeraw before the restart, the transaction after it."""
    wallet = Wallet()
    async with aiohttp.ClientSession() as session:
        async with Consortium(nodes=2, block_period=0.02, directory=tmp_path) as consortium:
            digest = await WireClient(consortium.network, session).store(0, CONTRACT)
        async with Consortium(nodes=2, block_period=0.02, directory=tmp_path) as consortium:
            client = WireClient(consortium.network, session)
            answer = await client.offer(0, wallet.sign(b"", digest), [1])
            assert (await client.receipt(1, answer["result"]))["status"] == "0x1"


async def test_what_waits_waits_on(tmp_path):
    """A node's pool outlives it, gaps and all, unless it was lost."""
    wallet, lost = Wallet(), Wallet()
    async with (
        Consortium(nodes=2, block_period=0.02, directory=tmp_path) as consortium,
        aiohttp.ClientSession() as session,
    ):
        client = WireClient(consortium.network, session)
        consortium.halt_blocks()
        await client.send(lost, b"", CONTRACT, node=1)
        consortium.lose_pool("node-2")
        wallet.nonce = 1
        behind = await client.send(wallet, b"", CONTRACT)
    async with (
        Consortium(nodes=2, block_period=0.02, directory=tmp_path) as consortium,
        aiohttp.ClientSession() as session,
    ):
        client = WireClient(consortium.network, session)
        assert len(consortium.ledger.pool) == 1
        assert await client.result(1, "eth_getTransactionByHash", behind.hash) is None
        wallet.nonce = 0
        first = await client.mined(await client.send(wallet, b"", CONTRACT))
        await client.mined(behind)
        assert [one.receipts[1]["status"] for one in (first, behind)] == ["0x1", "0x1"]
    again = Consortium(nodes=2, directory=tmp_path)
    assert len(again.ledger.pool) == 0
    again._close_store()


async def test_a_ledger_of_another_version_is_an_error(tmp_path):
    """It is named for what it is, and left alone."""
    content = b"steelyard sandbox ledger 2\n" + bytes(40)
    (tmp_path / LOG).write_bytes(content)
    with pytest.raises(SandboxProblem, match="by another version of the sandbox"):
        Consortium(nodes=2, directory=tmp_path)
    assert (tmp_path / LOG).read_bytes() == content


def record(directory: Path) -> bytes:
    """A record as it is written."""
    store = LedgerStore(directory)
    list(store.replay())
    before = (directory / LOG).stat().st_size
    store.append([b"R", 0, b"\x55" * 64, b"payload"])
    store.close()
    return (directory / LOG).read_bytes()[before:]


@pytest.mark.parametrize("cut", [1, 11, 12, 13, 60, "zeros"])
async def test_a_torn_last_record_is_dropped(tmp_path, cut):
    """Whatever part of the last record is missing, the rest stands and goes on."""
    torn = bytes(4096) if cut == "zeros" else record(tmp_path / "other")[:cut]
    wallet, address, _, _ = await fill(tmp_path)
    log = tmp_path / LOG
    whole = log.read_bytes()
    with log.open("ab") as file:
        file.write(torn)
    async with (
        Consortium(nodes=3, block_period=0.02, directory=tmp_path) as consortium,
        aiohttp.ClientSession() as session,
    ):
        client = WireClient(consortium.network, session)
        assert await client.read(0, address, 2) == 3
        await client.mined(
            await client.send(wallet, bytes.fromhex(address[2:]), calldata(KEEP, 9, 9))
        )
    assert log.read_bytes().startswith(whole)
    Consortium(nodes=3, directory=tmp_path)._close_store()  # and it can be read again


async def test_every_cut_gives_a_beginning_of_the_chain(tmp_path):
    """The log cut anywhere after its head replays to a prefix of the blocks, never to others."""
    await fill(tmp_path, 1)
    log = tmp_path / LOG
    whole = log.read_bytes()
    complete = Consortium(nodes=3, directory=tmp_path)
    hashes = [block.hash for block in complete.ledger.chain.blocks]
    complete._close_store()
    lengths = set()
    for end in [*range(0, len(whole), 37), len(whole)]:
        log.write_bytes(whole[:end])
        again = Consortium(nodes=3, directory=tmp_path)
        found = [block.hash for block in again.ledger.chain.blocks]
        again._close_store()
        assert found == hashes[: len(found)]
        lengths.add(len(found))
    assert len(hashes) in lengths
    assert len(lengths) > 2


async def test_damage_is_an_error(tmp_path):
    """A changed byte anywhere before the last record is named, and nothing is cut off."""
    await fill(tmp_path, 1)
    log = tmp_path / LOG
    last = len(record(tmp_path))
    whole = log.read_bytes()
    for position in range(len(whole) - last):
        if position % 29 and position > 60:
            continue
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        log.write_bytes(damaged)
        with pytest.raises(SandboxProblem):
            Consortium(nodes=3, directory=tmp_path)
        assert log.read_bytes() == damaged
    log.write_bytes(whole)
    Consortium(nodes=3, directory=tmp_path)._close_store()


async def test_a_foreign_file_is_an_error(tmp_path):
    """A ledger that is none is left alone."""
    log = tmp_path / LOG
    log.write_bytes(b"something else entirely, and long enough")
    with pytest.raises(SandboxProblem, match="is not a sandbox's ledger"):
        Consortium(nodes=3, directory=tmp_path)
    assert log.read_bytes() == b"something else entirely, and long enough"


async def test_another_shape_is_an_error(tmp_path):
    """The number of nodes and the chain id are the directory's."""
    async with Consortium(nodes=2, directory=tmp_path):
        pass
    with pytest.raises(SandboxProblem, match="a consortium of 2 nodes with chain id 1337"):
        Consortium(nodes=3, directory=tmp_path)
    with pytest.raises(SandboxProblem, match="not of 2 with 7"):
        Consortium(nodes=2, chain_id=7, directory=tmp_path)


async def test_one_at_a_time(tmp_path):
    """A second sandbox does not share the directory."""
    async with Consortium(nodes=2, directory=tmp_path):
        with pytest.raises(SandboxProblem, match="in use by another sandbox"):
            Consortium(nodes=2, directory=tmp_path)


async def test_an_identity_that_is_none(tmp_path):
    """A damaged consortium.json is named."""
    (tmp_path / "consortium.json").write_text('{"chain_id": 1337}')
    with pytest.raises(SandboxProblem, match=r"consortium\.json"):
        Consortium(nodes=2, directory=tmp_path)


@asynccontextmanager
async def process_until_killed(directory: Path) -> AsyncIterator[dict]:
    """The network of a sandbox in a process that is killed at the end, whatever happened."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("steelyard")),
        *("sandbox", "--nodes", "3", "--block-period", "20", "--directory", str(directory)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.startswith(b"Ready"):
                    break
        yield json.loads((directory / "network.json").read_text())
    finally:
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL


async def test_sigkill_loses_nothing_that_was_mined(tmp_path):
    """Killed again and again while it works: each receipt that was seen stays, hash by hash.

    So does what was taken and waits: its nonce is used.
    """
    wallet, receipts, address = Wallet(), [], ""
    for life in range(4):
        async with (
            process_until_killed(tmp_path) as network,
            aiohttp.ClientSession() as session,
        ):
            client = WireClient(network, session)
            for receipt in receipts:
                digest = receipt["transactionHash"]
                assert await client.result(1, "eth_getTransactionReceipt", digest) == receipt
                block = await client.result(2, "eth_getBlockByHash", receipt["blockHash"], False)
                assert digest in block["transactions"]
            count = await client.result(
                0, "eth_getTransactionCount", hexed(wallet.address), "pending"
            )
            wallet.nonce = int(count, 16)
            if life == 0:
                sent = await client.mined(await client.send(wallet, b"", CONTRACT))
                address = sent.receipts[0]["contractAddress"]
                receipts.append(sent.receipts[1])
            for key in range(life * 3):
                assert await client.read(1, address, key) == key + 1
            for key in range(life * 3, life * 3 + 3):
                sent = await client.mined(
                    await client.send(
                        wallet, bytes.fromhex(address[2:]), calldata(KEEP, key, key + 1)
                    )
                )
                receipts.append(sent.receipts[1])
            for other in range(1000, 1000 + life):
                assert await client.read(1, address, other) == 1
            await client.send(wallet, bytes.fromhex(address[2:]), calldata(KEEP, 1000 + life, 1))
    assert len(receipts) == 13
    assert ((tmp_path / LOG).stat().st_mode & 0o777) == 0o600
