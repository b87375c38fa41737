"""Proofs: a good receipt holds at every party's node, and nothing altered ever does."""

import json
from dataclasses import replace

import pytest
from builders import ticket, tickets
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stations import deploy, new_key
from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.seals import Validators
from steelyard.ledger.verify import Extent
from steelyard.ticket import Receipt, Ticket


def failed(proof) -> list[str]:
    return [check.name for check in proof.checks if not check.holds]


@pytest.fixture
async def settled(once, engine, ledger):
    """Three tickets of one transaction."""

    async def make():
        writer = await deploy(engine, ledger, new_key())
        return writer, await ledger.register(writer, tickets(3))

    return await once("verified", make)


@pytest.fixture
def writer(settled):
    return settled[0]


@pytest.fixture
def registered(settled):
    """The receipt of the second of them."""
    return settled[1][1].receipt


async def test_a_good_receipt_holds_at_both_parties(ledger, writer, customer_view, registered):
    """The proof needs a party's node and the receipt, and gives the ticket."""
    for view in (writer.view, customer_view):
        proof = await ledger.verify(view, registered)
        assert failed(proof) == []
        assert proof.holds
        assert proof.ticket == tickets(3)[1]
        compared = await ledger.verify(view, registered, tickets(3)[1])
        assert compared.holds
        assert len(compared.checks) == len(proof.checks) + 1


async def test_the_blocks_behind_are_walked(engine, ledger, writer, customer_view, registered):
    """The walk goes to the head or to its limit, and what it left out is said."""
    for number in range(3):
        await ledger.register(writer, [ticket(100 + number)])
    behind = "The blocks after it follow one another by their hashes"
    for blocks, left_out in ((None, False), (1, True)):
        proof = await ledger.verify(customer_view, registered, extent=Extent(blocks))
        assert failed(proof) == []
        assert behind in [check.name for check in proof.checks]
        assert any("were not walked" in one for one in proof.unproved) == left_out
    without = await ledger.verify(customer_view, registered)
    assert behind not in [check.name for check in without.checks]
    assert any("none was looked at" in one for one in without.unproved)


async def test_seals_are_needed_where_they_are_asked_for(engine, ledger, customer_view, registered):
    """The sandbox's blocks carry none: said so, and refused on demand; the real engine's hold."""
    sealed = "A quorum of validators sealed the block"
    plain = await ledger.verify(customer_view, registered)
    asked = await ledger.verify(customer_view, registered, extent=Extent(0, require_seals=True))
    trusting = Validators(frozenset(["0x" + 40 * "1"]), "a list")
    other = await ledger.verify(customer_view, registered, extent=Extent(0, trusting))
    assert plain.holds
    assert "The block's validators are those that you trust" in failed(other)
    if engine.name == "sandbox":
        assert sealed not in [check.name for check in plain.checks]
        assert any("carries no seals" in one for one in plain.unproved)
        assert failed(asked) == [sealed]
    else:
        assert asked.holds
        assert sealed in [check.name for check in plain.checks]
        assert any("their list came from this node" in one for one in plain.unproved)


async def test_a_single_ticket_holds_too(ledger, writer, customer_view):
    """A ticket registered alone goes through `register`, and is proved the same way."""
    (outcome,) = await ledger.register(writer, [ticket()])
    assert (await ledger.verify(customer_view, outcome.receipt, ticket())).holds


async def test_nothing_holds_where_one_is_no_party(ledger, stranger_view, registered):
    """A strange node finds the transaction in its block, and no ticket."""
    proof = await ledger.verify(stranger_view, registered)
    assert not proof.holds
    assert proof.ticket is None
    names = failed(proof)
    assert "The transaction's payload registers this ticket" in names
    assert "The transaction is in the receipt's block" not in names


async def test_a_receipt_of_another_ticket_does_not_hold(ledger, writer, registered):
    """Neither another ticket's receipt nor another registered ticket is taken for this one."""
    (other,) = await ledger.register(writer, [ticket(77)])
    mixed = registered.model_copy(update={"ticket_id": ticket(77).id})
    assert not (await ledger.verify(writer.view, mixed)).holds
    crossed = registered.model_copy(update={"transaction_hash": other.receipt.transaction_hash})
    assert not (await ledger.verify(writer.view, crossed)).holds
    proof = await ledger.verify(writer.view, registered, ticket(77))
    assert failed(proof) == ["The ticket given is the one that the contract holds"]


async def test_another_contract_does_not_vouch(engine, ledger, writer, registered):
    """A receipt is proved for its own contract only, not for a station's other one."""
    station, customer, _ = engine.nodes
    twin = await ledger.deploy(writer.key, station, [customer.tessera_key])
    proof = await ledger.verify(replace(writer.view, address=twin.address), registered)
    assert "The transaction goes to the station's contract" in failed(proof)


async def test_a_transaction_that_reverted_does_not_hold(ledger, proxied, proxy):
    """A mined transaction whose call the contract refused proves nothing."""
    bad = ticket(55).model_copy(update={"cells": ()})
    (outcome,) = await ledger.register(proxied, [bad])
    assert outcome.refusal
    (sent, *_) = proxy.calls("eth_getTransactionReceipt")
    # The block is unknown here, so every block up to the head is tried.
    head = (await ledger.health(proxied.view.node)).block_number
    for number in range(max(head - 5, 0), head + 1):
        receipt = Receipt(ticket_id=bad.id, transaction_hash=sent[0], block_number=number)
        assert not (await ledger.verify(proxied.view, receipt)).holds


async def test_a_block_that_is_not_there_does_not_hold(ledger, writer, registered):
    """Block numbers beyond the head, or beyond all numbers, fail the proof and do not raise."""
    for number in (0, registered.block_number + 10_000, 2**63, 2**70):
        receipt = registered.model_copy(update={"block_number": number})
        assert not (await ledger.verify(writer.view, receipt)).holds


async def test_no_node_is_no_proof(ledger, writer, registered):
    """A node that does not answer is a problem, not a failed proof."""
    dead = replace(writer.view.node, rpc_url="http://127.0.0.1:9")
    with pytest.raises(NodeUnavailable):
        await ledger.verify(replace(writer.view, node=dead), registered)


async def test_any_altered_byte_of_a_receipt_fails(ledger, writer, customer_view, registered):
    """A receipt's JSON with one byte changed is refused, or its proof does not hold."""
    text = json.dumps(registered.model_dump(mode="json"), separators=(",", ":")).encode()
    different = []
    for changed in changes_of(text, 60):
        try:
            receipt = Receipt.model_validate_json(changed)
        except ValidationError:
            continue
        # A batch's tickets share its transaction: another of them, named rightly, is true as well.
        others = {one.id for one in tickets(3)} - {registered.ticket_id}
        if receipt != registered and receipt.ticket_id not in others:
            different.append(receipt)
    assert len(different) > 5
    for receipt in different:
        assert not (await ledger.verify(customer_view, receipt)).holds, receipt


async def test_any_altered_byte_of_a_ticket_fails(ledger, customer_view, registered):
    """A ticket's JSON with one byte changed is refused, or its proof does not hold."""
    good = tickets(3)[1]
    text = json.dumps(good.as_json(), separators=(",", ":"), ensure_ascii=False).encode()
    different = []
    for changed in changes_of(text, 200):
        try:
            one = Ticket.model_validate_json(changed)
        except ValidationError:
            continue
        if one != good:
            different.append(one)
    assert len(different) > 5
    for one in different[:40]:
        proof = await ledger.verify(customer_view, registered, one)
        assert failed(proof) == ["The ticket given is the one that the contract holds"]


def changes_of(text: bytes, count: int) -> list[bytes]:
    """Copies of the text with one byte changed, drawn by hypothesis."""
    found = []

    @settings(max_examples=count, deadline=None, database=None)
    @given(st.integers(0, len(text) - 1), st.sampled_from(b"0123456789abcdefXyZ-. "))
    def collect(at, byte):
        changed = text[:at] + bytes([byte]) + text[at + 1 :]
        if changed != text:
            found.append(changed)

    collect()
    return found


def first_hex(text: str) -> str:
    """Another hexadecimal text of the same length."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def other_weight(payload: str) -> str:
    """A packed batch whose last weight is another: its last byte, before the ABI's padding."""
    length = int(payload[2 + 8 + 64 :][:64], 16)
    end = 2 + 8 + 2 * 64 + 2 * length
    return first_hex(payload[:end]) + payload[end:]


def other_block(answer: str) -> str:
    """The answer of `get` with another block number: the fourth word; other answers as they are."""
    word = 2 + 4 * 64
    is_entry = len(answer) > 2 + 8 * 64
    return first_hex(answer[:word]) + answer[word:] if is_entry else answer


def altered(**members: object):
    return lambda answer: answer | members


def flipped(member: str):
    return lambda answer: answer | {member: first_hex(answer[member])}


# What a node says otherwise, and the statement that must fail for it.
LIES = {
    "another nonce": (
        "eth_getTransactionByHash",
        flipped("nonce"),
        "The transaction's content has the receipt's hash",
    ),
    "another name of a payload": (
        "eth_getTransactionByHash",
        flipped("input"),
        "The transaction's payload registers this ticket",
    ),
    "another signature": (
        "eth_getTransactionByHash",
        flipped("s"),
        "The station's key signed the transaction",
    ),
    "another target": (
        "eth_getTransactionByHash",
        flipped("to"),
        "The transaction goes to the station's contract",
    ),
    "no transaction": (
        "eth_getTransactionByHash",
        lambda _: None,
        "The node knows the transaction",
    ),
    "a payload with a changed byte": (
        "eth_getQuorumPayload",
        other_weight,
        "The contract has the fingerprint of every ticket of the payload",
    ),
    "a longer payload": (
        "eth_getQuorumPayload",
        lambda answer: answer + "00",
        "The transaction's payload registers this ticket",
    ),
    "no payload": (
        "eth_getQuorumPayload",
        lambda _: "0x",
        "The transaction's payload registers this ticket",
    ),
    "a failed transaction": (
        "eth_getTransactionReceipt",
        altered(status="0x0"),
        "The transaction succeeded at this node",
    ),
    "no event": (
        "eth_getTransactionReceipt",
        altered(logs=[]),
        "The transaction gave the ticket its place in the contract",
    ),
    "fewer tickets in the event": (
        "eth_getTransactionReceipt",
        lambda answer: (
            answer | {"logs": [log | {"data": first_hex(log["data"])} for log in answer["logs"]]}
        ),
        "The transaction registered as many tickets as its payload has",
    ),
    "no receipt": (
        "eth_getTransactionReceipt",
        lambda _: None,
        "The transaction succeeded at this node",
    ),
    "no transactions in the block": (
        "eth_getBlockByNumber",
        altered(transactions=[]),
        "The transaction is in the receipt's block",
    ),
    "another root": (
        "eth_getBlockByNumber",
        flipped("transactionsRoot"),
        "The block's transactions have the root in its header",
    ),
    "another parent": (
        "eth_getBlockByNumber",
        flipped("parentHash"),
        "The block follows the block before it",
    ),
    "another time": (
        "eth_getBlockByNumber",
        flipped("timestamp"),
        "The block's header has the block's hash",
    ),
    "no block": (
        "eth_getBlockByNumber",
        lambda _: None,
        "The transaction is in the receipt's block",
    ),
    "no contract": (
        "eth_call",
        lambda _: "0x",
        "The contract holds the ticket of the payload, unaltered",
    ),
    "another code": (
        "eth_getCode",
        first_hex,
        "The contract's code is the published one, byte for byte",
    ),
    "another sender": (
        "eth_getTransactionByHash",
        flipped("from"),
        "The station's key signed the transaction",
    ),
    "another transaction under this hash": (
        "eth_getBlockByNumber",
        lambda answer: (
            answer | {"transactions": [one | {"nonce": "0x7777"} for one in answer["transactions"]]}
        ),
        "The transaction is in the receipt's block",
    ),
    "another receipt": (
        "eth_getTransactionReceipt",
        flipped("transactionHash"),
        "The transaction succeeded at this node",
    ),
    "another block in the contract": (
        "eth_call",
        other_block,
        "The contract names the same block",
    ),
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_altered_answer_does_not_hold(lie, ledger, proxied, proxy, registered):
    """One altered answer of a node, anywhere, and the statement that it contradicts fails."""
    assert (await ledger.verify(proxied.view, registered)).holds
    method, alter, statement = LIES[lie]
    proxy.change(method, alter)
    proof = await ledger.verify(proxied.view, registered)
    assert not proof.holds
    assert statement in failed(proof)
