"""Questions to a node's state, now and in earlier blocks, on every engine."""

import pytest

from wire_world import (
    BURN,
    CONTRACT,
    INVALID,
    KEEP,
    MANY,
    READ,
    REVERT,
    REVERT_TEXT,
    Wallet,
    calldata,
    hexed,
)  # fmt: skip

CAP = 25_000_000
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
    """25,000,000 gas at most, whatever is asked for; less if less is asked for."""
    gas_left = {"data": "0x5a60005260206000f3"}  # what a constructor has left, as its code
    for gas, most in ((None, CAP), ("0xffffffffff", CAP), ("0x100000", 2**20)):
        asked = gas_left | ({"gas": gas} if gas else {})
        left = int(await client.result(0, "eth_call", asked, "latest"), 16)
        assert most - 60_000 < left < most
    for words, succeeds in ((1_200, True), (1_300, False)):  # writes, at 20,000 gas and more
        message = {"to": contract.address, "data": hexed(calldata(MANY, 1000, words))}
        answers = [
            await client.ask(0, "eth_call", message | {"gas": "0xffffffff"}, "latest"),
            await client.ask(0, "eth_estimateGas", message),
        ]
        if succeeds:
            assert all("result" in answer for answer in answers)
        else:
            assert [answer["error"]["message"] for answer in answers] == [
                "out of gas",
                f"gas required exceeds allowance ({CAP})",
            ]


async def test_gas_below_the_intrinsic(client, contract):
    """A call needs its intrinsic gas as well."""
    message = {"to": contract.address, "data": "0x01", "gas": "0x64"}
    error = await client.error(0, "eth_call", message, "latest")
    assert error["message"] == (
        "err: intrinsic gas too low: have 100, want 21016 (supplied gas 100)"
    )
    estimate = await client.error(0, "eth_estimateGas", message | {"gas": "0x5208"})
    assert estimate["message"] == "gas required exceeds allowance (21000)"


async def test_a_call_needs_a_block(client, contract):
    """GoQuorum's eth_call has no default for it."""
    message = {"to": contract.address, "data": hexed(calldata(READ, 5))}
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


def unread(what: str, member: str, kind: str) -> str:
    """What Go says of a member of a call that it cannot read."""
    return f"json: cannot unmarshal {what} into Go struct field CallArgs.{member} of type {kind}"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([], "json: cannot unmarshal array into Go value of type ethapi.CallArgs"),
        ({"to": "0x12"}, "hex string has length 2, want 40 for common.Address"),
        ({"to": 7}, unread("non-string", "to", "common.Address")),
        ({"data": "0x123"}, unread("hex string of odd length", "data", "hexutil.Bytes")),
        ({"gas": "12"}, unread("hex string without 0x prefix", "gas", "hexutil.Uint64")),
        ({"gas": "0x01"}, unread("hex number with leading zero digits", "gas", "hexutil.Uint64")),
        ({"value": "0x"}, unread('hex string "0x"', "value", "*hexutil.Big")),
    ],
)
async def test_messages_that_are_none(client, message, text):
    """Arguments that cannot be read."""
    whole = {"to": "0x" + "77" * 20} | message if message else message
    error = await client.error(0, "eth_call", whole, "latest")
    assert error == {"code": -32602, "message": f"invalid argument 0: {text}"}


async def test_a_call_that_sends_ether(client):
    """Nobody has any."""
    message = {"to": "0x" + "77" * 20, "from": "0x" + "ab" * 20, "value": "0x1"}
    error = await client.error(0, "eth_call", message, "latest")
    assert error["message"] == (
        "err: insufficient funds for transfer: address "
        "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB (supplied gas 25000000)"
    )


async def test_newer_opcodes_are_refused(client):
    """PUSH0 came after Istanbul: a contract compiled for it does not deploy."""
    error = await client.error(0, "eth_call", {"data": "0x5f5f00"}, "latest")
    assert error["message"].startswith("invalid opcode")


async def test_code_has_a_largest_size(client):
    """128 KiB, the network's maxCodeSizeConfig."""
    for size, status in ((131_072, "0x1"), (131_073, "0x0")):
        code = bytes.fromhex("62") + size.to_bytes(3, "big") + bytes.fromhex("6000f3")
        sent = await client.mined(await client.send(Wallet(), b"", code, gas=60_000_000))
        assert [one["status"] for one in sent.receipts] == [status, status, "0x1"]
