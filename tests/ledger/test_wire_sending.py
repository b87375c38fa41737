"""What a node takes, in which order, and what comes of it, on every engine."""

from refused import refused

from wire_world import KEEP, Wallet, calldata, hexed

VIOLATED = "500 status: Unique index or primary key violation"


async def test_nonces_are_counted_per_sender(client, contract):
    """Latest counts blocks, pending also what waits; others' accounts are at zero."""
    address = hexed(contract.wallet.address)
    assert await client.result(2, "eth_getTransactionCount", address, "latest") == "0x1"
    assert await client.result(2, "eth_getTransactionCount", address, "pending") == "0x1"
    assert await client.result(0, "eth_getTransactionCount", address, "0x0") == "0x0"
    assert await client.result(2, "eth_getTransactionCount", contract.address, "latest") == "0x1"
    assert await client.result(0, "eth_getTransactionCount", "0x" + "77" * 20, "latest") == "0x0"


async def test_a_used_nonce_is_too_low(client, contract):
    """A new transaction with a mined nonce is refused."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest, nonce=0)
    assert await refused(client, raw) == "nonce too low"


async def test_a_hash_is_handed_out_once(client, contract):
    """The same raw transaction again fails at the privacy manager, waiting or mined."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest, nonce=2)  # waits behind a gap
    sent = (await client.offer(0, raw, [1]))["result"]
    assert (await refused(client, raw)).startswith(VIOLATED)
    known = await client.error(0, "eth_sendRawTransaction", hexed(raw))
    assert known == {"code": -32000, "message": "already known"}
    await client.send(contract.wallet, contract.to, calldata(KEEP, 2, 2))
    for node in (0, 2):
        await client.receipt(node, sent)
    assert (await refused(client, raw)).startswith(VIOLATED)
    low = await client.error(2, "eth_sendRawTransaction", hexed(raw))
    assert low["message"] == "nonce too low"


async def test_a_waiting_nonce_cannot_be_replaced(client, contract):
    """With gas price 0 there is no outbidding."""
    wallet = contract.wallet
    wallet.nonce = 2
    first = await client.send(wallet, contract.to, calldata(KEEP, 1, 1))
    digest = await client.store(0, calldata(KEEP, 1, 2))
    raw = wallet.sign(contract.to, digest, nonce=2)
    assert await refused(client, raw) == "replacement transaction underpriced"
    wallet.nonce = 1
    await client.send(wallet, contract.to, calldata(KEEP, 2, 2))
    await client.mined(first)
    assert await client.read(0, contract.address, 1) == 1


async def test_a_gap_stalls_without_an_error(client, contract):
    """Behind a gap a transaction waits unseen by other nodes; the missing one frees both."""
    wallet = contract.wallet
    wallet.nonce = 2
    behind = await client.send(wallet, contract.to, calldata(KEEP, 2, 2))
    await client.blocks(2)
    seen = await client.result(0, "eth_getTransactionByHash", behind.hash)
    assert (seen["blockHash"], seen["blockNumber"], seen["transactionIndex"]) == (None,) * 3
    assert await client.result(0, "eth_getTransactionReceipt", behind.hash) is None
    assert await client.result(2, "eth_getTransactionByHash", behind.hash) is None
    address = hexed(wallet.address)
    assert await client.result(0, "eth_getTransactionCount", address, "pending") == "0x1"
    wallet.nonce = 1
    missing = await client.mined(await client.send(wallet, contract.to, calldata(KEEP, 1, 1)))
    await client.mined(behind)
    places = [each.receipts[0] for each in (missing, behind)]
    numbers = [(int(one["blockNumber"], 16), int(one["transactionIndex"], 16)) for one in places]
    assert numbers == sorted(set(numbers))


async def test_a_foreign_key_signs_as_itself(client, contract):
    """Another key's transaction is taken, but the contract sees its own address as the caller."""
    foreign = Wallet()
    sent = await client.mined(await client.send(foreign, contract.to, calldata(KEEP, 3, 3)))
    [log] = sent.receipts[0]["logs"]
    assert log["topics"][2] == "0x" + "0" * 24 + foreign.address.hex()
    assert sent.receipts[0]["from"] == hexed(foreign.address)


async def test_a_reverted_transaction_is_mined(client, contract):
    """Its hash says nothing; only a party's receipt has status 0, and the nonce is used up."""
    wallet = contract.wallet
    sent = await client.mined(await client.send(wallet, contract.to, calldata(3, 1)))
    assert [receipt["status"] for receipt in sent.receipts] == ["0x0", "0x0", "0x1"]
    assert all(receipt["gasUsed"] == "0x0" for receipt in sent.receipts)
    address = hexed(wallet.address)
    assert await client.result(0, "eth_getTransactionCount", address, "latest") == "0x2"


async def test_a_reverted_deployment_has_an_address_without_code(client):
    """ContractAddress is in the receipt, as in GoQuorum, and nothing is there."""
    code = bytes.fromhex("60006000fd")
    sent = await client.mined(await client.send(Wallet(), b"", code))
    assert [receipt["status"] for receipt in sent.receipts] == ["0x0", "0x0", "0x1"]
    address = sent.receipts[0]["contractAddress"]
    assert await client.result(0, "eth_getCode", address, "latest") == "0x"


async def test_out_of_gas_inside(client, contract):
    """Enough for the public part is not enough for the contract: status 0 at the parties."""
    sent = await client.mined(
        await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 1), gas=30_000)
    )
    assert [receipt["status"] for receipt in sent.receipts] == ["0x0", "0x0", "0x1"]
    assert await client.read(0, contract.address, 1) == 0


async def test_a_long_payload_costs_the_public_part_nothing(client, contract):
    """Intrinsic gas counts the 64-byte hash, not the payload (measured at GoQuorum)."""
    payload = calldata(KEEP, 1, 1) + b"\xff" * 1_000_000  # 16,000,000 gas if it counted
    sent = await client.mined(await client.send(contract.wallet, contract.to, payload))
    assert sent.receipts[0]["status"] == "0x1"


async def test_a_private_transaction_sent_as_public_has_no_party(client, contract):
    """eth_sendRawTransaction takes it and hands its payload to nobody: a silent no-op."""
    wallet = contract.wallet
    digest = await client.store(0, calldata(KEEP, 9, 9))
    sent = await client.result(0, "eth_sendRawTransaction", hexed(wallet.sign(contract.to, digest)))
    receipts = [await client.receipt(node, sent) for node in range(3)]
    assert receipts[0] == receipts[1] == receipts[2]
    assert (receipts[0]["status"], receipts[0]["logs"]) == ("0x1", [])
    assert await client.result(0, "eth_getQuorumPayload", hexed(digest)) == "0x"


async def test_a_contract_may_create_another(client, contract):
    """What a contract creates is there at the parties, and its maker's nonce goes up."""
    for _ in range(2):
        await client.mined(await client.send(contract.wallet, contract.to, calldata(10)))
    child = await client.read(0, contract.address, 7)
    assert child
    code = await client.result(0, "eth_getCode", "0x" + child.to_bytes(20, "big").hex(), "latest")
    assert code == "0x00"
