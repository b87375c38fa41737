"""A node that alters any byte of a real proof is found out: over recorded answers of GoQuorum."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import (
    ANSWERS,
    DOCUMENT,
    RECEIPT,
    TICKET,
    VALIDATORS,
    at_path,
    leaves,
    prove,
    replaced,
)

from steelyard.ledger.encoding import from_hex, rlp_decode, rlp_encode, to_hex
from steelyard.ledger.errors import LedgerProblem
from steelyard.ledger.verify import Extent

# What a node adds of its own: in no hash, and nothing of the proof rests on it.
ADDED = {"size", "totalDifficulty", "logsBloom", "cumulativeGasUsed", "gasUsed", "type"}
IN_RECEIPTS = ADDED | {"from", "to", "transactionIndex", "blockHash", "logIndex", "contractAddress"}
HEAD = '["eth_blockNumber"]'
LATER = [call for call in ANSWERS if call.endswith("false]")]
BLOCK = json.dumps(["eth_getBlockByNumber", hex(RECEIPT.block_number), True])
PARENT = json.dumps(["eth_getBlockByNumber", hex(RECEIPT.block_number - 1), True])


def counts(call: str, path: tuple) -> bool:
    """Whether the text at this place of an answer is part of the proof."""
    if call == HEAD:
        return False
    if "eth_getTransactionReceipt" in call:
        # Of its logs, those of this contract: the address, the topics, the data.
        return not (set(path) & IN_RECEIPTS) and path[-1] not in {"blockNumber"} | IN_RECEIPTS
    if "eth_getBlockByNumber" in call:
        if path[0] in {"size", "totalDifficulty"}:
            return False
        if call != BLOCK:
            # Of other blocks the headers; their seals only where the walk ends.
            sealed = call == LATER[-1]
            return path[0] != "transactions" and (path[0] != "extraData" or sealed)
        # Another station's transaction: what is signed and where it stands, not who signed.
        return not (path[0] == "transactions" and path[-1] in {"from", "type"} and not own(path))
    return True


def own(path: tuple) -> bool:
    return at_path(ANSWERS[BLOCK], path[:2])["hash"] == RECEIPT.transaction_hash


PLACES = [
    (call, path)
    for call, answer in ANSWERS.items()
    for path in leaves(answer)
    if counts(call, path)
]


def outcome(answers, **arguments) -> list[str]:
    """The statements that do not hold; one that says so where the node's answer is unreadable."""
    try:
        proof = asyncio.run(prove(answers, **arguments))
    except LedgerProblem as problem:
        return [str(problem)]
    return [check.name for check in proof.checks if not check.holds]


def test_the_recorded_answers_prove_the_receipt():
    """Unaltered, everything holds: seals, walk, code, ticket."""
    proof = asyncio.run(prove(ANSWERS))
    assert [check.name for check in proof.checks if not check.holds] == []
    assert len(proof.checks) == 21
    assert proof.ticket == TICKET


def test_every_member_of_the_header_and_the_transactions_is_looked_at():
    """The places to be altered are not few by mistake."""
    named = {path[0] for call, path in PLACES if call == BLOCK}
    assert named >= {"hash", "parentHash", "stateRoot", "extraData", "timestamp", "transactions"}
    assert len(PLACES) > 100


@pytest.mark.parametrize(("call", "path"), PLACES, ids=lambda one: str(one)[:60])
def test_every_member_of_every_answer_counts(call, path):
    """Each text of each answer, with its first, middle and last digit changed, is found."""
    text = at_path(ANSWERS[call], path)
    for at in {2, len(text) // 2, len(text) - 1} - {0, 1, len(text)}:
        digit = "0" if text[at] != "0" else "1"
        lie = replaced(ANSWERS[call], path, text[:at] + digit + text[at + 1 :])
        assert outcome(ANSWERS | {call: lie}), (call, path, at)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_altered_byte_is_found(data):
    """Any one character anywhere in what counts, changed to any other."""
    call, path = data.draw(st.sampled_from(PLACES))
    text = at_path(ANSWERS[call], path)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(
        st.sampled_from([one for one in "0123456789abcdefxXG_ -" if one != text[at]])
    )
    lie = replaced(ANSWERS[call], path, text[:at] + character + text[at + 1 :])
    assert outcome(ANSWERS | {call: lie})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_altered_byte_of_the_payload_is_found(data):
    """The payload is where a lie would pay: any byte, any value."""
    (call,) = [one for one in ANSWERS if "eth_getQuorumPayload" in one]
    payload = bytearray(from_hex(ANSWERS[call]))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    assert outcome(ANSWERS | {call: to_hex(bytes(payload))})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_altered_byte_of_seals_is_found(data):
    """Seals, round and validators of the block, with validators of one's own or without."""
    extra = bytearray(from_hex(ANSWERS[BLOCK]["extraData"]))
    extra[data.draw(st.integers(0, len(extra) - 1))] ^= data.draw(st.integers(1, 255))
    lie = ANSWERS[BLOCK] | {"extraData": to_hex(bytes(extra))}
    for trusted in (VALIDATORS, None):
        assert outcome(ANSWERS | {BLOCK: lie}, extent=Extent(0, trusted))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_altered_lists_of_transactions_are_found(data):
    """Transactions dropped, doubled, swapped or added."""
    listed = ANSWERS[BLOCK]["transactions"]
    chosen = data.draw(st.lists(st.sampled_from(listed), max_size=4))
    if chosen != listed:
        assert outcome(ANSWERS | {BLOCK: ANSWERS[BLOCK] | {"transactions": chosen}})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5))
def test_seals_left_out_or_doubled_are_found(dropped, doubled):
    """A node that leaves seals out, or fills up with repeated ones, is refused."""
    extra = rlp_decode(from_hex(ANSWERS[BLOCK]["extraData"]))
    seals = extra[4]
    extra[4] = seals[: max(len(seals) - dropped, 0)] + seals[:doubled]
    if extra[4] != seals:
        lie = ANSWERS[BLOCK] | {"extraData": to_hex(rlp_encode(extra))}
        failed = outcome(ANSWERS | {BLOCK: lie}, extent=Extent(0))
        assert failed == ["A quorum of validators sealed the block"]


def test_a_chain_without_any_seals_is_refused_only_on_demand():
    """A node that leaves all seals out passes for a sandbox; the proof says so, or refuses it."""
    bare = dict(ANSWERS)
    for call in (BLOCK, PARENT, *LATER):
        extra = rlp_decode(from_hex(ANSWERS[call]["extraData"]))
        bare[call] = ANSWERS[call] | {"extraData": to_hex(rlp_encode([*extra[:4], []]))}
    lenient = asyncio.run(prove(bare, extent=Extent(3)))
    assert lenient.holds
    assert any("carries no seals" in one for one in lenient.unproved)
    for strict in (Extent(0, require_seals=True), Extent(0, VALIDATORS)):
        assert "A quorum of validators sealed the block" in outcome(bare, extent=strict)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_altered_byte_of_the_receipt_or_the_ticket_is_found(data):
    """The reader's own files: each byte of their JSON."""
    name = data.draw(st.sampled_from(["receipt", "ticket"]))
    given_, kind = {"receipt": (RECEIPT, type(RECEIPT)), "ticket": (TICKET, type(TICKET))}[name]
    text = json.dumps(DOCUMENT[name], ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + bytes([text[at] ^ data.draw(st.integers(1, 255))]) + text[at + 1 :]
    try:
        other = kind.model_validate_json(changed)
    except ValueError:
        return  # refused
    if other != given_:  # a blank in place of another says the same
        assert outcome(ANSWERS, **{name: other})


def test_another_contract_of_the_same_code_is_refused():
    """The answers are the contract's that was asked for, and the transaction goes there."""
    trusted = Extent(0, VALIDATORS)
    assert outcome({}, extent=trusted)
    assert outcome({HEAD: "0x0"}, extent=Extent(None))
