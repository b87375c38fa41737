"""What a node takes and what it refuses, in GoQuorum's words."""

import pytest

from sandbox_world import CONTRACT, KEEP, Wallet, calldata, hexed
from steelyard.sandbox.rlp import encode


async def refused(client, raw, parties=(1,), node=0):
    answer = await client.offer(node, raw, list(parties))
    assert "result" not in answer, answer
    assert answer["error"]["code"] == -32000
    return answer["error"]["message"]


async def options_error(client, raw, options):
    return await client.error(0, "eth_sendRawPrivateTransaction", hexed(raw), options)


async def test_nonces_are_counted_per_sender(client, contract):
    """Latest counts blocks, pending also what waits; others' accounts are at zero."""
    address = hexed(contract.wallet.address)
    assert await client.result(2, "eth_getTransactionCount", address, "latest") == "0x1"
    assert await client.result(2, "eth_getTransactionCount", address, "pending") == "0x1"
    assert await client.result(0, "eth_getTransactionCount", address, "0x0") == "0x0"
    assert await client.result(2, "eth_getTransactionCount", contract.address, "latest") == "0x1"
    assert await client.result(0, "eth_getTransactionCount", "0x" + "77" * 20, "latest") == "0x0"


async def test_a_waiting_transaction_is_seen_everywhere_without_a_block(consortium, client):
    """Before its block: no receipt, no block in the transaction, and a higher pending nonce."""
    consortium.halt_blocks()
    wallet = Wallet()
    sent = await client.send(wallet, b"", CONTRACT)
    for node in range(3):
        seen = await client.result(node, "eth_getTransactionByHash", sent.hash)
        assert (seen["blockHash"], seen["blockNumber"], seen["transactionIndex"]) == (None,) * 3
        assert await client.result(node, "eth_getTransactionReceipt", sent.hash) is None
        address = hexed(wallet.address)
        assert await client.result(node, "eth_getTransactionCount", address, "pending") == "0x1"
        assert await client.result(node, "eth_getTransactionCount", address, "latest") == "0x0"


async def test_a_used_nonce_is_too_low(client, contract):
    """A new transaction with a mined nonce is refused."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest, nonce=0)
    assert await refused(client, raw) == "nonce too low"


async def test_a_hash_is_handed_out_once(consortium, client, contract):
    """The same raw transaction again fails at the privacy manager, waiting or mined."""
    consortium.halt_blocks()
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest)
    sent = (await client.offer(0, raw, [1]))["result"]
    again = await refused(client, raw)
    assert again.startswith("500 status: Unique index or primary key violation")
    known = await client.error(0, "eth_sendRawTransaction", hexed(raw))
    assert known == {"code": -32000, "message": "already known"}
    consortium.resume_blocks()
    await client.receipt(0, sent)
    assert (await refused(client, raw)).startswith("500 status: Unique index")
    low = await client.error(2, "eth_sendRawTransaction", hexed(raw))
    assert low["message"] == "nonce too low"


async def test_a_waiting_nonce_cannot_be_replaced(consortium, client, contract):
    """With gas price 0 there is no outbidding."""
    consortium.halt_blocks()
    first = await client.send(contract.wallet, contract.to, calldata(KEEP, 1, 1))
    digest = await client.store(0, calldata(KEEP, 1, 2))
    raw = contract.wallet.sign(contract.to, digest, nonce=1)
    assert await refused(client, raw) == "replacement transaction underpriced"
    consortium.resume_blocks()
    await client.mined(first)
    assert await client.read(0, contract.address, 1) == 1


async def test_a_gap_stalls_without_an_error(consortium, client, contract):
    """Behind a gap a transaction waits unseen by other nodes; the missing one frees both."""
    wallet = contract.wallet
    wallet.nonce = 2
    behind = await client.send(wallet, contract.to, calldata(KEEP, 2, 2))
    for _ in range(3):
        assert (await consortium.make_block()).transactions == ()
    assert await client.result(0, "eth_getTransactionReceipt", behind.hash) is None
    assert await client.result(0, "eth_getTransactionByHash", behind.hash) is not None
    assert await client.result(2, "eth_getTransactionByHash", behind.hash) is None
    address = hexed(wallet.address)
    assert await client.result(0, "eth_getTransactionCount", address, "pending") == "0x1"
    wallet.nonce = 1
    missing = await client.mined(await client.send(wallet, contract.to, calldata(KEEP, 1, 1)))
    await client.mined(behind)
    assert missing.receipts[0]["blockNumber"] == behind.receipts[0]["blockNumber"]
    assert [each.receipts[0]["transactionIndex"] for each in (missing, behind)] == ["0x0", "0x1"]


async def test_an_unknown_party_fails_the_send(client, contract):
    """Nothing goes into the pool; the nonce stays free."""
    nobody = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest)
    error = await options_error(client, raw, {"privateFor": [nobody]})
    assert error["message"] == f"404 status: Recipient not found for key: {nobody}"
    address = hexed(contract.wallet.address)
    assert await client.result(0, "eth_getTransactionCount", address, "pending") == "0x1"
    assert "result" in await client.offer(0, raw, [1])  # a 404 alone does not consume the hash


async def test_a_send_that_failed_half_way_leaves_its_payload(client, contract):
    """After a known and an unknown party, the known one has the payload: the hash is burnt."""
    nobody = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest)
    error = await options_error(client, raw, {"privateFor": [client.key(1), nobody]})
    assert error["message"].startswith("404 status: Recipient not found")
    url = client.nodes[1]["tessera_url"]
    again = await refused(client, raw)
    assert again == f"500 status: Unable to push payload to recipient url {url}/"


@pytest.mark.parametrize(
    ("parties", "message"),
    [
        (["not base64!!"], "500 status: Illegal base64 character 20"),
        (["YWJjZGU="], "500 status: Index 5 out of bounds for length 5"),
        ([""], "500 status: Index 0 out of bounds for length 0"),
    ],
)
async def test_keys_that_are_none(client, contract, parties, message):
    """A malformed key is refused with what Tessera's reader says."""
    raw = contract.wallet.sign(contract.to, await client.store(0, b"x"))
    assert (await options_error(client, raw, {"privateFor": parties}))["message"] == message


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({}, -32000, "transaction is not private"),
        ({"privateFor": None}, -32000, "transaction is not private"),
        (
            {"privateFor": "x"},
            -32602,
            (
                "invalid argument 1: json: cannot unmarshal string into Go struct field "
                "SendRawTxArgs.PrivateTxArgs.privateFor of type []string"
            ),
        ),
        (
            {"privateFor": [], "privacyFlag": 1},
            -32000,
            (
                "PrivacyEnhancements are disabled. Can only accept transactions with "
                "PrivacyFlag=0(StandardPrivate)."
            ),
        ),
        ({"privateFor": [], "privacyFlag": 9}, -32000, "invalid privacy flag"),
    ],
)
async def test_wrong_options(client, contract, options, code, message):
    """The second argument must name parties and no privacy flag."""
    raw = contract.wallet.sign(contract.to, bytes(64))
    assert await options_error(client, raw, options) == {"code": code, "message": message}


async def test_the_second_argument_is_required(client):
    """eth_sendRawPrivateTransaction wants its options."""
    error = await client.error(0, "eth_sendRawPrivateTransaction", "0x00")
    assert error == {"code": -32602, "message": "missing value for required argument 1"}


async def test_a_hash_that_was_not_stored_here(client, contract):
    """Unknown, or stored at another's manager: the sender's manager has not got it."""
    for digest in (b"\x55" * 64, await client.store(1, b"x")):
        message = await refused(client, contract.wallet.sign(contract.to, digest))
        assert message.startswith("404 status: Raw Transaction with hash ")
        assert message.endswith(" was not found")
    short = await refused(client, contract.wallet.sign(contract.to, b"\x55" * 10))
    assert "AAAAAAAAVVVVVVVVVVVVVQ== was not found" in short


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_v": 27}, "only replay-protected (EIP-155) transactions allowed over RPC"),
        ({"first_v": 0}, "only replay-protected (EIP-155) transactions allowed over RPC"),
        ({"first_v": 39}, "invalid chain id for signer"),
        ({"chain_id": 1}, None),
        ({"chain_id": 7}, "invalid chain id for signer"),
        ({"gas": 20_000}, "intrinsic gas too low"),
        ({"gas": 21_500}, "intrinsic gas too low"),
        ({"gas": 0xE0000001}, "exceeds block gas limit"),
        ({"gas_price": 1}, "Gas price not 0"),
        ({"value": 1}, "ether value is not supported for private transactions"),
    ],
)
async def test_transactions_that_are_wrong(client, contract, changes, message):
    """Each fault has its sentence. By chain id 1 the v is 37 or 38: taken, from a stranger."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    answer = await client.offer(0, contract.wallet.sign(contract.to, digest, **changes), [1])
    if message is None:
        seen = await client.result(0, "eth_getTransactionByHash", answer["result"])
        assert seen["from"] != hexed(contract.wallet.address)
    else:
        assert answer["error"] == {"code": -32000, "message": message}


async def test_no_data_is_no_private_transaction(client, contract):
    """Without a hash there is nothing to be private."""
    raw = contract.wallet.sign(contract.to, b"")
    assert await refused(client, raw) == "ether value is not supported for private transactions"


async def test_signatures_out_of_range(client, contract):
    """R = 0 and an s above half the order are refused."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    for r, s in ((0, 1), (1, order - 1), (1, 0), (order, 1)):
        raw = encode([1, 0, 3_000_000, contract.to, 0, await client.store(0, b"x"), 37, r, s])
        assert await refused(client, raw) == "invalid transaction v, r, s values"


async def test_a_foreign_key_signs_as_itself(client, contract):
    """Another key's transaction is taken, but the contract sees its own address as the caller."""
    foreign = Wallet()
    sent = await client.mined(await client.send(foreign, contract.to, calldata(KEEP, 3, 3)))
    [log] = sent.receipts[0]["logs"]
    assert log["topics"][2] == "0x" + "0" * 24 + foreign.address.hex()
    assert sent.receipts[0]["from"] == hexed(foreign.address)


@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [
        ("0xdeadbeef", -32000, "rlp: value size exceeds available input length"),
        ("0xc3010203", -32000, "rlp: too few elements for types.LegacyTx"),
        ("0x", -32000, "empty typed transaction bytes"),
        ("0x02c0", -32000, "transaction type not supported"),
        (
            "0x123",
            -32602,
            (
                "invalid argument 0: json: cannot unmarshal hex string of odd length into Go "
                "value of type hexutil.Bytes"
            ),
        ),
        (
            "f801",
            -32602,
            (
                "invalid argument 0: json: cannot unmarshal hex string without 0x prefix into Go "
                "value of type hexutil.Bytes"
            ),
        ),
    ],
)
async def test_garbage(client, raw, code, message):
    """What is no transaction is refused by either method."""
    for method, *rest in (
        ("eth_sendRawTransaction",),
        ("eth_sendRawPrivateTransaction", {"privateFor": []}),
    ):
        error = await client.error(0, method, raw, *rest)
        assert error == {"code": code, "message": message}


async def test_trailing_bytes(client, contract):
    """One transaction, and nothing after it."""
    raw = contract.wallet.sign(contract.to, bytes(64)) + b"\0"
    assert await refused(client, raw) == "rlp: input contains more than one value"


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
