"""Every call that the ledger makes of a node and a privacy manager, on every engine."""

import re
from pathlib import Path

import pytest
from builders import ticket, tickets

from steelyard.ledger import contract, jsonrpc
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.errors import PartyUnreachable
from steelyard.ledger.jsonrpc import JsonRpc, NodeError
from steelyard.ledger.node import LARGEST_BLOCK_NUMBER, Node
from steelyard.ledger.signer import PrivateTransaction, address_of, contract_address, sign
from steelyard.ledger.tessera import Tessera

ROOM = Path(jsonrpc.__file__).parent
NOWHERE, NOTHING = "0x" + 40 * "7", "0x" + 64 * "7"


@pytest.fixture
def node(session, writer) -> Node:
    """The station's."""
    ref = writer.view.node
    return Node(JsonRpc(session, ref.rpc_url, ref.name, 10), ref.name)


@pytest.fixture
def tessera(session, writer) -> Tessera:
    ref = writer.view.node
    return Tessera(session, ref.tessera_url, ref.name, 10)


async def registered(ledger, writer, some):
    """The transactions' hashes, each once, and the last block."""
    outcomes = await ledger.register(writer, some)
    return outcomes[0].receipt.transaction_hash, outcomes[0].receipt.block_number


async def test_questions_about_blocks_and_transactions(ledger, writer, node):
    """One by one and several at once: the same answers, in order; none for what is not there."""
    first, first_block = await registered(ledger, writer, tickets(2))
    second, second_block = await registered(ledger, writer, [ticket(9)])
    head = await node.block_number()
    assert head >= second_block > first_block

    assert await node.transaction(NOTHING) is None
    one, none, other = await node.transactions([first, NOTHING, second])
    assert (none, one) == (None, await node.transaction(first))
    assert [one["hash"], other["hash"]] == [first, second]
    assert [one["nonce"], other["nonce"]] == ["0x1", "0x2"]

    numbers = [second_block, head + 1000, first_block]
    blocks, headers = await node.blocks(numbers), await node.headers(numbers)
    assert blocks[1] is headers[1] is None
    assert [blocks[0], None, blocks[2]] == [await node.block(number) for number in numbers]
    assert one in blocks[2]["transactions"]
    assert first in headers[2]["transactions"]
    bare = {"transactions": None}
    assert blocks[2] | bare == headers[2] | bare
    for number in (-1, LARGEST_BLOCK_NUMBER, LARGEST_BLOCK_NUMBER + 1):
        assert await node.block(number) is None


async def test_questions_about_receipts_and_events(ledger, writer, node):
    """What was registered where, found by a transaction, a block, and a range of blocks."""
    address = writer.view.address
    first, first_block = await registered(ledger, writer, tickets(2))
    second, second_block = await registered(ledger, writer, [ticket(9)])
    assert await node.mined(NOTHING) is None
    mined = await node.mined(first)
    assert (mined.transaction_hash, mined.block_number, mined.succeeded) == (
        first,
        first_block,
        True,
    )
    assert mined.contract_address is None
    (event,) = mined.registered(address)
    assert (event.first_index, event.count, event.transaction_hash) == (1, 2, first)
    assert mined.registered(NOWHERE) == ()
    assert await node.registered_in(address, first_block) == (event,)
    found = await node.registrations(address, 0, second_block)
    assert [(number, one.transaction_hash) for number, one in found] == [
        (first_block, first),
        (second_block, second),
    ]
    assert await node.registrations(address, second_block + 1, second_block + 1000) == []
    assert await node.registrations(NOWHERE, 0, second_block) == []


async def test_questions_about_a_contract(ledger, writer, node):
    """Its code, its answers, what it refuses with the reason, and nothing where there is none."""
    address, caller = writer.view.address, address_of(writer.key)
    await registered(ledger, writer, [ticket(1)])
    assert await node.code(address) == station_tickets().runtime
    assert await node.code(NOWHERE) == b""
    assert await node.call(NOWHERE, contract.encode_total()) == b""
    asked = [contract.encode_total(), contract.encode_get(ticket(1).id), contract.encode_station()]
    answers = await node.calls(address, asked)
    assert answers == [await node.call(address, one) for one in asked]
    assert contract.decode_station(answers[2]) == caller.lower()

    refused = contract.encode_registration([ticket(1)])
    for sender, name in ((caller, "TicketKnown"), (None, "NotTheStation")):
        with pytest.raises(NodeError) as caught:
            await node.call(address, refused, sender)
        assert (caught.value.code, caught.value.is_revert) == (3, True)
        assert contract.decode_revert(caught.value.data).name == name
    unknown = contract.encode_get("never")
    with pytest.raises(NodeError) as caught:
        await node.calls(address, [asked[0], unknown])
    assert contract.decode_revert(caught.value.data).name == "UnknownTicket"


async def test_questions_about_payloads(ledger, writer, node):
    """In clear at a party; empty for a name that nothing has; no name is an error."""
    first, _ = await registered(ledger, writer, [ticket(1)])
    name = (await node.transaction(first))["input"]
    payload = contract.encode_registration([ticket(1)])
    assert await node.payload(name) == payload
    assert await node.payloads([name, "0x" + 128 * "7", name]) == [payload, b"", payload]
    with pytest.raises(NodeError):
        await node.payload("0x1234")


async def test_a_transaction_by_hand(engine, writer, node, tessera):
    """Stored, signed, sent as private, counted and mined; or into the pool without its payload."""
    key, party = writer.key, writer.parties
    sender, ref = address_of(key), writer.view.node
    assert await tessera.is_up()
    assert await tessera.keys() == (ref.tessera_key,)
    assert await node.transaction_count(sender, "latest") == 1
    digests = [
        await tessera.store_raw(contract.encode_registration([one]), ref.tessera_key)
        for one in tickets(2)
    ]
    private, raw = (
        sign(key, PrivateTransaction(nonce, 10_000_000, writer.view.address, digest))
        for nonce, digest in enumerate(digests, 1)
    )
    await node.send_private(private.raw, party, 20)
    assert await node.transaction_count(sender, "pending") == 2
    await node.send_raw(raw.raw, 20)  # its payload is nowhere but at the sender's manager
    while await node.transaction_count(sender, "latest") < 3:
        pass
    assert len((await node.mined(private.hash)).registered(writer.view.address)) == 1
    assert (await node.mined(raw.hash)).logs == ()
    with pytest.raises(PartyUnreachable):
        await tessera.store_raw(b"x", engine.nodes[1].tessera_key)


async def test_a_deployment_has_the_address_that_follows_from_its_nonce(ledger, writer, node):
    """Sender and nonce give the contract's address, at the receipt as well."""
    expected = contract_address(address_of(writer.key), 1)
    deployed = await ledger.deploy(writer.key, writer.view.node, writer.parties)
    assert deployed.address == expected
    mined = await node.mined(deployed.transaction_hash)
    assert mined.contract_address == expected.lower()


async def test_who_the_engine_is(node, engine):
    """The network's chain id, and a program of GoQuorum's line."""
    chain_id, program = await node.identity()
    assert chain_id == 1337
    assert "quorum-v" in program
    assert program.startswith("SteelyardSandbox" if engine.name == "sandbox" else "Geth")


def test_no_call_is_left_out():
    """What the ledger's room names: a new call comes here with its test above."""
    named = set()
    for path in ROOM.glob("*.py"):
        named |= set(re.findall(r'"((?:eth|net|web3|istanbul)_\w+|/[a-z]\w*)"', path.read_text()))
    assert named == {
        "/storeraw",
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_getBlockByNumber",
        "eth_getCode",
        "eth_getLogs",
        "eth_getQuorumPayload",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_sendRawPrivateTransaction",
        "eth_sendRawTransaction",
        "web3_clientVersion",
    }
