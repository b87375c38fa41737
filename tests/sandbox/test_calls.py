"""Questions to a node's state, now and in earlier blocks."""

import pytest

from sandbox_world import (
    BURN,
    CONTRACT,
    INVALID,
    KEEP,
    MANY,
    READ,
    REVERT,
    REVERT_TEXT,
    WHERE,
    calldata,
    hexed,
)  # fmt: skip

TEXT = bytes.fromhex("08c379a0") + calldata(32, 12) + b"no such thin".ljust(32, b"\0")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            calldata(REVERT, 7),
            {"code": 3, "message": "execution reverted", "data": hexed(calldata(7))},
        ),
        (
            calldata(REVERT_TEXT) + TEXT,
            {"code": 3, "message": "execution reverted: no such thin", "data": hexed(TEXT)},
        ),
        (calldata(99), {"code": -32000, "message": "execution reverted"}),
        (calldata(INVALID), {"code": -32000, "message": "invalid opcode: opcode 0xfe not defined"}),
        (calldata(BURN), {"code": -32000, "message": "out of gas"}),
    ],
)  # fmt: skip
async def test_failures_at_a_party_and_elsewhere(client, contract, data, error):
    """A party gets the error with the revert's data, a non-party an empty result."""
    assert (await client.call(0, contract.address, data))["error"] == error
    assert (await client.call(1, contract.address, data))["error"] == error
    assert (await client.call(2, contract.address, data))["result"] == "0x"


async def test_a_call_alters_nothing(client, contract):
    """Neither storage nor nonces nor the gas of later calls change by a call that writes."""
    keep = {"to": contract.address, "data": hexed(calldata(KEEP, 1, 1))}
    before = await client.result(0, "eth_estimateGas", keep)
    for _ in range(3):
        assert await client.result(0, "eth_call", keep, "latest") == "0x"
        assert await client.read(0, contract.address, 1) == 0
    assert await client.result(0, "eth_estimateGas", keep) == before
    creation = {"data": hexed(CONTRACT), "from": hexed(contract.wallet.address)}
    assert await client.result(0, "eth_call", creation, "latest") == hexed(CONTRACT[16:])
    sent = await client.mined(await client.send(contract.wallet, contract.to, calldata(KEEP, 2, 2)))
    assert sent.receipts[0]["status"] == "0x1"


async def test_the_gas_of_a_call_is_capped(client, contract):
    """50,000,000 gas at most, whatever is asked for; less if less is asked for."""
    words = 2_000  # writes: 40,000,000 gas
    for gas, succeeds in ((None, True), ("0xffffffffff", True), ("0x200000", False)):
        message = {"to": contract.address, "data": hexed(calldata(MANY, 1000, words))}
        if gas:
            message["gas"] = gas
        assert ("result" in await client.ask(0, "eth_call", message, "latest")) is succeeds
    message = {
        "to": contract.address,
        "data": hexed(calldata(MANY, 1000, 3_000)),
        "gas": "0xffffffff",
    }
    assert (await client.error(0, "eth_call", message, "latest"))["message"] == "out of gas"


async def test_gas_below_the_intrinsic(client, contract):
    """A call needs its intrinsic gas as well."""
    message = {"to": contract.address, "data": "0x01", "gas": "0x64"}
    error = await client.error(0, "eth_call", message, "latest")
    assert error["message"] == (
        "err: intrinsic gas too low: have 100, want 21016 (supplied gas 100)"
    )


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


async def test_history_ends(consortium, client, contract):
    """A node that is no archive forgets states after 128 blocks."""
    while consortium.ledger.chain.head.number < 130:
        await consortium.make_block()
    error = (await client.call(0, contract.address, calldata(READ, 5), "0x1"))["error"]
    assert error["code"] == -32000
    assert error["message"].startswith("missing trie node ")


async def test_blocks_that_are_not_there(client, contract):
    """A future block, an unknown hash and a missing argument have their errors."""
    data = calldata(READ, 5)
    future = (await client.call(0, contract.address, data, "0xffffff"))["error"]
    assert future == {"code": -32000, "message": "header not found"}
    unknown = (await client.call(0, contract.address, data, {"blockHash": "0x" + "11" * 32}))[
        "error"
    ]
    assert unknown["code"] == -32000
    message = {"to": contract.address, "data": hexed(data)}
    missing = await client.error(0, "eth_call", message)
    assert missing == {"code": -32602, "message": "missing value for required argument 1"}


async def test_input_is_not_looked_at(client, contract):
    """GoQuorum 24.4.1 knows `data` only: with `input` alone the calldata is empty."""
    message = {"to": contract.address, "input": hexed(calldata(READ, 5))}
    error = await client.error(0, "eth_call", message, "latest")
    assert error == {"code": -32000, "message": "execution reverted"}


async def test_estimates(client, contract):
    """An estimate is the least gas with which the call succeeds, and has the call's errors."""
    keep = {"to": contract.address, "data": hexed(calldata(KEEP, 1, 1))}
    gas = int(await client.result(0, "eth_estimateGas", keep), 16)
    assert "result" in await client.ask(0, "eth_call", {**keep, "gas": hex(gas)}, "latest")
    error = await client.error(0, "eth_call", {**keep, "gas": hex(gas - 1)}, "latest")
    assert error["message"] == "out of gas"
    at_a_non_party = int(await client.result(2, "eth_estimateGas", keep), 16)
    assert at_a_non_party == 21_000 + 4 * 93 + 16 * 3
    failing = {"to": contract.address, "data": hexed(calldata(REVERT, 7))}
    assert (await client.error(0, "eth_estimateGas", failing))["code"] == 3


async def test_gas_is_counted_by_istanbuls_rules(client, contract):
    """A transaction's storage is not cheaper for what an earlier one touched.

    An SLOAD costs 800; a slot's first write 20,000 and a change of it 5,000.
    """
    read = {"to": contract.address, "data": hexed(calldata(READ, 5))}
    keep = {"to": contract.address, "data": hexed(calldata(KEEP, 5, 2))}
    reads = [int(await client.result(0, "eth_estimateGas", read), 16)]
    first = int(await client.result(0, "eth_estimateGas", keep), 16)
    await client.mined(await client.send(contract.wallet, contract.to, calldata(KEEP, 5, 1)))
    reads.append(int(await client.result(0, "eth_estimateGas", read), 16))
    assert reads[0] == reads[1]
    assert first - int(await client.result(0, "eth_estimateGas", keep), 16) == 15_000


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"to": "0x12"}, "invalid argument 0: hex string has length 2, want 40 for common.Address"),
        ([], "invalid argument 0: json: cannot unmarshal non-object into Go value"),
        (
            {"to": "0x" + "77" * 20, "data": "0x123"},
            (
                "invalid argument 0: json: cannot unmarshal hex string of odd length into Go "
                "value of type hexutil.Bytes"
            ),
        ),
        ({"to": "0x" + "77" * 20, "gas": "12"}, "invalid argument 0: hex string without 0x prefix"),
    ],
)
async def test_messages_that_are_none(client, message, text):
    """Arguments that cannot be read."""
    assert await client.error(0, "eth_call", message, "latest") == {"code": -32602, "message": text}


async def test_newer_opcodes_are_refused(client):
    """PUSH0 came after Istanbul: a contract compiled for it does not deploy."""
    error = await client.error(0, "eth_call", {"data": "0x5f5f00"}, "latest")
    assert error["message"].startswith("invalid opcode")


async def test_code_has_a_largest_size(client):
    """128 KiB, GoQuorum's largest maxCodeSizeConfig."""
    for size, succeeds in ((131_072, True), (131_073, False)):
        code = bytes.fromhex("62") + size.to_bytes(3, "big") + bytes.fromhex("6000f3")
        message = {"data": hexed(code)}
        assert ("result" in await client.ask(0, "eth_call", message, "latest")) is succeeds
