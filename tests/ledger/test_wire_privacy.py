"""What a party sees, and what everyone else sees."""

from eth_hash.auto import keccak

from steelyard.sandbox.codec import contract_address
from wire_world import CONTRACT, KEEP, TOPIC, WHERE, Wallet, WireClient, calldata, hexed


async def test_parties_see_the_code_and_others_nothing(client, contract):
    """eth_getCode gives the code at both parties and 0x at the third node."""
    codes = [
        await client.result(node, "eth_getCode", contract.address, "latest") for node in range(3)
    ]
    assert codes[0] == codes[1] != "0x"
    assert codes[2] == "0x"


async def test_the_contract_is_at_the_public_nonces_address(client, contract):
    """The address follows from sender and nonce, and the code is what the constructor returned."""
    assert contract.to == contract_address(contract.wallet.address, 0)
    code = await client.result(0, "eth_getCode", contract.address, "latest")
    assert code == hexed(CONTRACT[16:])


async def test_a_private_call_changes_the_parties_states_only(client, contract):
    """After keeping 42 under 5, the parties read 42 and the third node 0x."""
    await client.mined(await client.send(contract.wallet, contract.to, calldata(KEEP, 5, 42)))
    assert [await client.read(node, contract.address, 5) for node in (0, 1)] == [42, 42]
    assert (await client.call(2, contract.address, calldata(2, 5)))["result"] == "0x"


async def test_receipts_differ_in_logs_only(client, contract):
    """A party's receipt has the event; another's is the same but empty, with status 1."""
    sent = await client.mined(
        await client.send(contract.wallet, contract.to, calldata(KEEP, 5, 42))
    )
    party, other, third = sent.receipts
    assert party == other
    [log] = party["logs"]
    assert log["topics"] == [
        hexed(TOPIC), "0x" + "5".zfill(64), "0x" + "0" * 24 + contract.wallet.address.hex(),
    ]  # fmt: skip
    assert int(log["data"], 16) == 42
    assert log["address"] == contract.address
    assert (log["logIndex"], log["removed"]) == ("0x0", False)
    assert int(party["logsBloom"], 16).bit_count() > 0
    assert {**party, "logs": [], "logsBloom": "0x" + "0" * 512} == third
    assert (third["status"], third["gasUsed"], third["cumulativeGasUsed"]) == ("0x1", "0x0", "0x0")
    assert third["isPrivacyMarkerTransaction"] is False


async def test_all_see_the_transaction_with_the_hash_as_its_input(client, contract):
    """The public transaction is the same everywhere and carries 64 bytes, not the calldata."""
    wallet = contract.wallet
    sent = await client.mined(await client.send(wallet, contract.to, calldata(KEEP, 5, 42)))
    seen = [await client.result(node, "eth_getTransactionByHash", sent.hash) for node in range(3)]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]["input"] == hexed(sent.digest)
    assert len(sent.digest) == 64
    assert seen[0]["v"] in ("0x25", "0x26")
    assert seen[0]["from"] == hexed(wallet.address)
    assert (seen[0]["nonce"], seen[0]["gasPrice"], seen[0]["type"]) == ("0x1", "0x0", "0x0")


async def test_the_payload_is_the_parties(client, contract):
    """eth_getQuorumPayload gives the clear calldata at a party and 0x elsewhere."""
    payload = calldata(KEEP, 5, 42)
    sent = await client.mined(await client.send(contract.wallet, contract.to, payload))
    digest = hexed(sent.digest)
    seen = [await client.result(node, "eth_getQuorumPayload", digest) for node in range(3)]
    assert seen == [hexed(payload), hexed(payload), "0x"]
    assert await client.result(0, "eth_getQuorumPayload", digest[2:]) == hexed(payload)


async def test_a_stored_payload_is_no_partys_before_it_is_sent(client):
    """What was only stored cannot be asked for, not even at the manager that stored it."""
    digest = await client.store(0, b"a secret")
    assert await client.result(0, "eth_getQuorumPayload", hexed(digest)) == "0x"


async def test_logs_are_the_parties(client, contract):
    """eth_getLogs filters by address, topic and block at a party, and finds nothing elsewhere."""
    sent = await client.mined(
        await client.send(contract.wallet, contract.to, calldata(KEEP, 5, 42))
    )
    everything = {"fromBlock": "0x0", "address": contract.address}
    logs = [await client.result(node, "eth_getLogs", everything) for node in range(3)]
    assert logs[0] == logs[1] == sent.receipts[0]["logs"]
    assert logs[2] == []
    block = {"blockHash": sent.receipts[0]["blockHash"]}
    assert await client.result(0, "eth_getLogs", block) == logs[0]
    assert await client.result(2, "eth_getLogs", block) == []
    five, six = ("0x" + str(digit).zfill(64) for digit in (5, 6))
    for topics, found in (
        ([hexed(TOPIC)], 1),
        ([None, five], 1),
        ([None, [six, five]], 1),
        ([None, six], 0),
        ([hexed(TOPIC), None, None, None], 0),
        ([[]], 1),
    ):
        query = {**everything, "topics": topics}
        assert len(await client.result(0, "eth_getLogs", query)) == found, topics
    number = int(sent.receipts[0]["blockNumber"], 16)
    before = {**everything, "toBlock": hex(number - 1)}
    assert await client.result(0, "eth_getLogs", before) == []
    after = {"address": contract.address, "fromBlock": hex(number + 1)}
    assert await client.result(0, "eth_getLogs", after) == []


async def test_a_transaction_for_the_sender_alone(client, contract):
    """With an empty privateFor the parties' states part, as they do in GoQuorum."""
    await client.mined(
        await client.send(contract.wallet, contract.to, calldata(KEEP, 8, 1), parties=())
    )
    assert [await client.read(node, contract.address, 8) for node in (0, 1)] == [1, 0]


async def test_two_contracts_of_different_parties_stay_apart(client, contract):
    """node-3 deploys its own for itself: neither sees the other's."""
    own = Wallet()
    sent = await client.mined(await client.send(own, b"", CONTRACT, node=2, parties=()))
    address = sent.receipts[2]["contractAddress"]
    await client.mined(
        await client.send(own, bytes.fromhex(address[2:]), calldata(KEEP, 1, 7), node=2, parties=())
    )
    assert await client.read(2, address, 1) == 7
    assert [await client.result(node, "eth_getCode", address, "latest") for node in (0, 1)] == [
        "0x", "0x",
    ]  # fmt: skip


async def test_private_and_public_blocks_agree(client: WireClient, contract):
    """A contract sees the number, the time and the miner of the public block."""
    answer = await client.call(1, contract.address, calldata(WHERE))
    number, time, miner = (answer["result"][2:][i * 64 : i * 64 + 64] for i in range(3))
    block = await client.result(1, "eth_getBlockByNumber", hex(int(number, 16)), False)
    assert int(time, 16) == int(block["timestamp"], 16)
    assert miner[24:] == block["miner"][2:]


async def test_the_transactions_hash_is_that_of_its_bytes(client):
    """keccak256 of the raw transaction is what the node answers."""
    wallet = Wallet()
    digest = await client.store(0, CONTRACT)
    raw = wallet.sign(b"", digest)
    assert (await client.offer(0, raw, [1]))["result"] == hexed(keccak(raw))
