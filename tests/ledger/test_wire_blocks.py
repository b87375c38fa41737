"""Questions about blocks: earlier states, and blocks that are not there, on every engine."""

import pytest

from wire_world import KEEP, READ, WHERE, calldata


async def test_earlier_blocks(client, contract):
    """A call on an earlier block sees the state after it, and the present stays as it is."""
    blocks = []
    for value in (1, 2, 3):
        sent = await client.mined(
            await client.send(contract.wallet, contract.to, calldata(KEEP, 5, value))
        )
        blocks.append(sent.receipts[0])
    for value, receipt in zip((1, 2, 3), blocks, strict=True):
        number = receipt["blockNumber"]
        assert await client.read(0, contract.address, 5, number) == value
        assert (
            await client.read(0, contract.address, 5, {"blockHash": receipt["blockHash"]}) == value
        )
        before = hex(int(number, 16) - 1)
        assert await client.read(1, contract.address, 5, before) == value - 1
        where = (await client.call(0, contract.address, calldata(WHERE), number))["result"]
        assert int(where[2:66], 16) == int(number, 16)
    assert await client.read(0, contract.address, 5) == 3
    slot = await client.result(
        0, "eth_getStorageAt", contract.address, "0x5", blocks[0]["blockNumber"]
    )
    assert int(slot, 16) == 1
    assert (
        int(await client.result(2, "eth_getStorageAt", contract.address, "0x5", "latest"), 16) == 0
    )


async def test_before_the_deployment(client, contract):
    """There was no code in the genesis."""
    assert await client.result(0, "eth_getCode", contract.address, "0x0") == "0x"
    assert (await client.call(0, contract.address, calldata(READ, 5), "0x0"))["result"] == "0x"
    assert await client.result(0, "eth_getCode", contract.address, "latest") != "0x"


NEITHER = (-32000, "invalid arguments; neither block nor hash specified")


@pytest.mark.parametrize(
    ("tag", "error"),
    [
        ("0xffffff", (-32000, "header not found")),
        ({"blockNumber": "0xffffff"}, (-32000, "header not found")),
        ({"blockHash": "0x" + "11" * 32}, (-32000, "header for hash not found")),
        ("0x" + "11" * 32, (-32000, "header for hash not found")),
        (None, NEITHER),
        ({}, NEITHER),
        ("", (-32602, "invalid argument 1: empty hex string")),
        ("12", (-32602, "invalid argument 1: hex string without 0x prefix")),
        ("0x01", (-32602, "invalid argument 1: hex number with leading zero digits")),
        (hex(2**63), (-32602, "invalid argument 1: blocknumber too high")),
        (hex(2**64), (-32602, "invalid argument 1: hex number > 64 bits")),
        (
            7,
            (
                -32602,
                "invalid argument 1: json: cannot unmarshal number into Go value of type string",
            ),
        ),
    ],
)
async def test_blocks_that_are_none(client, tag, error):
    """What is unknown, and what cannot be read, for every question about a state."""
    nobody = "0x" + "77" * 20
    for method, *params in (
        ("eth_call", {"to": nobody, "data": "0x"}),
        ("eth_getCode", nobody),
        ("eth_getTransactionCount", nobody),
    ):
        found = await client.error(0, method, *params, tag)
        assert (found["code"], found["message"]) == error, method


async def test_blocks_beyond_the_head(client):
    """A block that is not there is null, and a number beyond all numbers an error."""
    for number in ("0xffffff", hex(2**63 - 1)):
        for full in (True, False):
            assert await client.result(0, "eth_getBlockByNumber", number, full) is None
    unknown = "0x" + "11" * 32
    assert await client.result(0, "eth_getBlockByHash", unknown, True) is None
    assert await client.result(0, "eth_getTransactionByHash", unknown) is None
    assert await client.result(0, "eth_getTransactionReceipt", unknown) is None
    for number, message in (
        (hex(2**63), "block number larger than int64"),
        (hex(2**64), "hex number > 64 bits"),
        (7, "hex string without 0x prefix"),
    ):
        error = await client.error(0, "eth_getBlockByNumber", number, True)
        assert error == {"code": -32602, "message": f"invalid argument 0: {message}"}
