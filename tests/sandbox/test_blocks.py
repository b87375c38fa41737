"""Blocks: hashes that can be computed from what a node shows, and links that hold."""

import asyncio

from eth_hash.auto import keccak

from steelyard.sandbox.codec import list_root
from steelyard.sandbox.consortium import Consortium
from steelyard.sandbox.rlp import decode, encode
from wire_world import CONTRACT, KEEP, Wallet, calldata, hexed

FIELDS = [
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
]
NUMBERS = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp"}


def header_hash(block):
    """keccak256 of the header's RLP, with the extra data as QBFT hashes it: without seals."""
    vanity, validators, vote, _, _ = decode(bytes.fromhex(block["extraData"][2:]))
    block = {**block, "extraData": hexed(encode([vanity, validators, vote, b"", []]))}
    return hexed(
        keccak(
            encode(
                [
                    int(block[name], 16) if name in NUMBERS else bytes.fromhex(block[name][2:])
                    for name in FIELDS
                ]
            )
        )
    )


async def test_hashes_follow_from_the_header_and_link_the_blocks(client, contract):
    """From the genesis to the head, at every node alike."""
    await client.mined(await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 1)))
    head = int(await client.result(0, "eth_blockNumber"), 16)
    parent = "0x" + "00" * 32
    for number in range(head + 1):
        block = await client.result(0, "eth_getBlockByNumber", hex(number), False)
        assert block == await client.result(2, "eth_getBlockByNumber", hex(number), False)
        assert block == await client.result(1, "eth_getBlockByHash", block["hash"], False)
        assert header_hash(block) == block["hash"]
        assert block["parentHash"] == parent
        assert int(block["number"], 16) == number
        parent = block["hash"]


async def test_a_block_shows_its_transactions(client, contract):
    """Hashes, or whole transactions; the root is that of their trie."""
    wallet = contract.wallet
    raw = wallet.sign(contract.to, await client.store(0, calldata(KEEP, 1, 1)))
    sent = (await client.offer(0, raw, [1]))["result"]
    receipt = await client.receipt(0, sent)
    number = receipt["blockNumber"]
    block = await client.result(2, "eth_getBlockByNumber", number, False)
    assert block["transactions"] == [sent]
    full = await client.result(2, "eth_getBlockByNumber", number, True)
    transaction = await client.result(2, "eth_getTransactionByHash", sent)
    assert full["transactions"] == [transaction]
    assert transaction["blockHash"] == receipt["blockHash"] == block["hash"]
    assert block["transactionsRoot"] == hexed(list_root([raw]))
    assert (block["gasUsed"], int(block["logsBloom"], 16)) == ("0x0", 0)
    at = "eth_getTransactionByBlockNumberAndIndex"
    assert await client.result(2, at, number, "0x0") == transaction
    assert await client.result(2, at, number, "0x1") is None
    count = "eth_getBlockTransactionCountByNumber"
    assert await client.result(2, count, number) == "0x1"


async def test_known_roots(client, contract):
    """One private transaction's receipts root, and an empty block's, as measured at GoQuorum."""
    sent = await client.mined(await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 1)))
    number = sent.receipts[0]["blockNumber"]
    block = await client.result(0, "eth_getBlockByNumber", number, False)
    assert block["receiptsRoot"] == (
        "0xb64408da6b8fe39ab764af88ece1e8cca1c35fd988db57806e99138c629365a0"
    )
    genesis = await client.result(0, "eth_getBlockByNumber", "0x0", False)
    for name in ("receiptsRoot", "transactionsRoot", "stateRoot"):
        assert genesis[name] == (
            "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
        )
    assert genesis["sha3Uncles"] == (
        "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
    )


async def test_tags_and_wrong_numbers(client):
    """Earliest and pending are known, safe and finalized are not yet."""
    genesis = await client.result(0, "eth_getBlockByNumber", "0x0", False)
    assert await client.result(0, "eth_getBlockByNumber", "earliest", False) == genesis
    pending = await client.result(0, "eth_getBlockByNumber", "pending", False)
    assert (pending["hash"], pending["miner"], pending["nonce"]) == (None, None, None)
    assert await client.result(0, "eth_getBlockByNumber", "0xffffff", False) is None
    assert await client.result(0, "eth_getBlockByHash", "0x" + "11" * 32, False) is None
    for tag, text in (
        ("safe", "hex string without 0x prefix"),
        ("12", "hex string without 0x prefix"),
        ("0x01", "hex number with leading zero digits"),
        ("0xffffffffffffffffff", "hex number > 64 bits"),
    ):
        error = await client.error(0, "eth_getBlockByNumber", tag, False)
        assert error == {"code": -32602, "message": f"invalid argument 0: {text}"}


async def test_time_never_goes_back(consortium):
    """Also with many blocks in a second."""
    for _ in range(20):
        await consortium.make_block()
    times = [block.timestamp for block in consortium.ledger.chain.blocks]
    assert times == sorted(times)


async def test_empty_blocks_have_a_period_of_their_own(session):
    """With a long empty block period there are no blocks until there is work, and then at once."""
    from wire_world import WireClient

    async with Consortium(nodes=2, block_period=0.01, empty_block_period=3600.0) as consortium:
        client = WireClient(consortium.network, session)
        await asyncio.sleep(0.1)
        assert consortium.ledger.chain.head.number == 0
        sent = await client.mined(await client.send(Wallet(), b"", CONTRACT))
        assert sent.receipts[0]["blockNumber"] == "0x1"
        await asyncio.sleep(0.1)
        assert consortium.ledger.chain.head.number == 1


async def test_what_does_not_run_in_time_waits_for_the_next_block(
    consortium, client, contract, monkeypatch
):
    """A long queue is worked off over several blocks, in order and whole."""
    monkeypatch.setattr("steelyard.sandbox.consortium._LEAST_TIME", 0.0)
    consortium.block_period = 0.0
    consortium.halt_blocks()
    sent = [
        await client.send(contract.wallet, contract.to, calldata(KEEP, key, key + 1))
        for key in range(3)
    ]
    assert [len((await consortium.make_block()).transactions) for _ in range(4)] == [1, 1, 1, 0]
    for key, each in enumerate(sent):
        assert (await client.receipt(0, each.hash))["status"] == "0x1"
        assert await client.read(1, contract.address, key) == key + 1


async def test_nobody_sees_a_block_half_done(consortium, client, contract, monkeypatch):
    """While a block's transactions run, all answers are those of the block before."""
    monkeypatch.setattr("steelyard.sandbox.ledger._BREATH", 0.0)
    consortium.halt_blocks()
    for key in range(30):
        await client.send(contract.wallet, contract.to, calldata(KEEP, key, 1))
    head = consortium.ledger.chain.head.number
    consortium.block_period = 60.0  # the whole queue in one block
    making = asyncio.create_task(consortium.make_block())
    during = 0
    while not making.done():
        seen = [await client.read(1, contract.address, key) for key in (0, 29)]
        number = int(await client.result(1, "eth_blockNumber"), 16)
        count = await client.result(
            1, "eth_getTransactionCount", hexed(contract.wallet.address), "latest"
        )
        if consortium.ledger.chain.head.number == head:
            during += 1
            assert (seen, number, count) == ([0, 0], head, "0x1")
    assert during > 0
    assert len((await making).transactions) == 30
    assert [await client.read(1, contract.address, key) for key in (0, 29)] == [1, 1]
