"""Public transactions are carried out at every node, in a state that all share."""

from wire_world import CONTRACT, KEEP, READ, Wallet, calldata, hexed

CHAIN = 1337


async def test_a_public_contract_is_everyones(client):
    """Code, state, receipt, gas and logs are the same at all nodes."""
    wallet = Wallet()
    raw = wallet.sign(b"", CONTRACT, chain_id=CHAIN)
    sent = await client.result(0, "eth_sendRawTransaction", hexed(raw))
    receipts = [await client.receipt(node, sent) for node in range(3)]
    assert receipts[0] == receipts[1] == receipts[2]
    assert int(receipts[0]["gasUsed"], 16) > 53_000
    address = receipts[0]["contractAddress"]
    wallet.nonce = 1
    keep = wallet.sign(bytes.fromhex(address[2:]), calldata(KEEP, 5, 42), chain_id=CHAIN)
    sent = await client.result(1, "eth_sendRawTransaction", hexed(keep))
    receipts = [await client.receipt(node, sent) for node in range(3)]
    assert receipts[0] == receipts[1] == receipts[2]
    assert len(receipts[0]["logs"]) == 1
    assert [await client.read(node, address, 5) for node in range(3)] == [42, 42, 42]
    block = await client.result(2, "eth_getBlockByNumber", receipts[0]["blockNumber"], False)
    assert block["gasUsed"] == receipts[0]["gasUsed"]
    assert block["logsBloom"] == receipts[0]["logsBloom"]


async def test_a_public_revert_costs_its_gas(client):
    """Status 0 everywhere."""
    raw = Wallet().sign(b"", bytes.fromhex("60006000fd"), chain_id=CHAIN)
    sent = await client.result(0, "eth_sendRawTransaction", hexed(raw))
    receipts = [await client.receipt(node, sent) for node in range(3)]
    assert [receipt["status"] for receipt in receipts] == ["0x0"] * 3
    assert int(receipts[0]["gasUsed"], 16) > 53_000


async def test_a_protected_signature_makes_it_public_whatever_the_method(client, contract):
    """By eth_sendRawPrivateTransaction, a v of EIP-155 is still a public transaction."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest, chain_id=CHAIN)
    receipt = await client.receipt(0, (await client.offer(0, raw, [1]))["result"])
    assert receipt["gasUsed"] == hex(21_000 + sum(16 if byte else 4 for byte in digest))
    assert await client.read(0, contract.address, 1) == 0
    message = {"to": contract.address, "data": hexed(calldata(READ, 1))}
    assert await client.result(2, "eth_call", message, "latest") == "0x"
