"""What a node refuses to send, in GoQuorum's and Tessera's words, on every engine."""

import pytest
from refused import options_error, refused

from steelyard.sandbox.rlp import encode
from wire_world import KEEP, calldata, hexed

NOBODY = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="


async def test_an_unknown_party_fails_the_send(client, contract):
    """Nothing goes into the pool; the nonce stays free."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest)
    error = await options_error(client, raw, {"privateFor": [NOBODY]})
    assert error["message"] == f"404 status: Recipient not found for key: {NOBODY}"
    address = hexed(contract.wallet.address)
    assert await client.result(0, "eth_getTransactionCount", address, "pending") == "0x1"
    assert "result" in await client.offer(0, raw, [1])  # a 404 alone does not consume the hash


async def test_a_send_that_failed_half_way_leaves_its_payload(client, contract):
    """After a known and an unknown party, the known one has the payload: the hash is burnt."""
    digest = await client.store(0, calldata(KEEP, 1, 1))
    raw = contract.wallet.sign(contract.to, digest)
    error = await options_error(client, raw, {"privateFor": [client.key(1), NOBODY]})
    assert error["message"].startswith("404 status: Recipient not found")
    assert (await refused(client, raw)).startswith("500 status: Unable to push payload to ")


@pytest.mark.parametrize(
    ("parties", "message"),
    [
        (["not base64!!"], "500 status: Illegal base64 character 20"),
        (["YWJjZGU="], "500 status: Index 5 out of bounds for length 5"),
        ([""], "500 status: Index 0 out of bounds for length 0"),
        (["="], "500 status: Input byte[] should at least have 2 bytes for base64 bytes"),
        (["YWJjZ"], "500 status: Last unit does not have enough valid bits"),
        (["YW=j"], "500 status: Input byte array has wrong 4-byte ending unit"),
        ([NOBODY + " "], "500 status: Input byte array has incorrect ending byte at 44"),
        (["ÄÖ"], "500 status: Illegal base64 character -3c"),
        ([NOBODY[:-1]], f"404 status: Recipient not found for key: {NOBODY}"),
        (["A" * 44], f"404 status: Recipient not found for key: {'A' * 44}"),
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
        (None, -32000, "transaction is not private"),
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
        ({"gas": 700_000_001}, "exceeds block gas limit"),
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
    """Zero, an s above half the order and an r of the order are refused."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    for r, s in ((0, 1), (1, order - 1), (1, 0), (order, 1)):
        raw = encode([1, 0, 3_000_000, contract.to, 0, await client.store(0, b"x"), 37, r, s])
        assert await refused(client, raw) == "invalid transaction v, r, s values"


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
