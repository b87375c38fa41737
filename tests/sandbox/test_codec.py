"""RLP, tries and transactions against their definitions, and against garbage."""

import json

import pytest
import rlp as reference
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.sandbox.codec import bloom, contract_address, intrinsic_gas, list_root, trie_root
from steelyard.sandbox.errors import RpcError
from steelyard.sandbox.jsonrpc import answer
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.methods import NodeMethods
from steelyard.sandbox.node import Node
from steelyard.sandbox.privacy import PrivacyManager
from steelyard.sandbox.rlp import RlpError, decode, encode
from steelyard.sandbox.transaction import decode_transaction
from wire_world import Wallet

items = st.recursive(st.binary(max_size=70), lambda each: st.lists(each, max_size=5), max_leaves=9)


@given(items)
def test_rlp_agrees_with_another_implementation(item):
    """What we encode is what the rlp package encodes, and we read it back."""
    encoded = encode(item)
    assert encoded == reference.encode(item)
    if _depth(item) <= 8:
        assert decode(encoded) == item


def _depth(item):
    return 1 + max(map(_depth, item), default=0) if isinstance(item, list) else 0


@given(st.binary(max_size=200))
def test_what_decodes_is_canonical(data):
    """Bytes either raise RlpError, or are exactly the encoding of what was read."""
    try:
        item = decode(data)
    except RlpError:
        return
    assert encode(item) == data


@pytest.mark.parametrize(
    "wrong", ["", "8100", "817f", "b800", "b90038", "f800", "c1", "b8", "f9ff", "c2c1", "0000"]
)
def test_what_is_not_canonical_is_refused(wrong):
    """Lengths with zeros, long forms of short items, cut-off items, trailing bytes."""
    with pytest.raises(RlpError):
        decode(bytes.fromhex(wrong))


def test_nesting_has_an_end():
    """Deep lists are refused instead of exhausting the stack."""
    data = b"\xc0"
    for _ in range(20):
        data = encode([decode(data)]) if len(data) < 8 else bytes([0xC0 + len(data)]) + data
    with pytest.raises(RlpError, match="nested"):
        decode(data)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(21_000, 2**63),
    st.sampled_from([b"", b"\x07" * 20]),
    st.binary(max_size=100),
)
def test_a_signed_transaction_is_read_as_it_was_signed(nonce, gas, to, data):
    """Fields, hash and sender come back; a changed byte never keeps the sender."""
    wallet = Wallet(b"\x01" * 32)
    raw = wallet.sign(to, data, nonce=nonce, gas=gas)
    transaction = decode_transaction(raw)
    assert (transaction.nonce, transaction.gas, transaction.data) == (nonce, gas, data)
    assert transaction.to == (to or None)
    assert transaction.hash == keccak(raw)
    assert transaction.sender == wallet.address
    assert transaction.is_private


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_changes_the_sender_or_is_refused(position, change):
    """No byte of a transaction is left out of what the signature covers."""
    wallet = Wallet(b"\x01" * 32)
    raw = bytearray(wallet.sign(b"\x07" * 20, b"\x55" * 64))
    raw[position % len(raw)] ^= change
    try:
        transaction = decode_transaction(bytes(raw))
        transaction.check_signer(1337)
    except RpcError:
        return
    assert transaction.sender != wallet.address


@given(st.binary(max_size=300) | items.map(encode))
def test_garbage_is_no_transaction_and_no_traceback(data):
    """Any bytes give a transaction or an RpcError."""
    try:
        decode_transaction(data).check_signer(1337)
    except RpcError:
        return


def methods():
    manager = PrivacyManager("node-1", "x")
    node = Node("node-1", manager, 1337)
    return NodeMethods(SharedLedger([node], [b"\x01" * 20], 1337), node)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(
        ["0x", "0x0", "latest", "pending", "0x" + "11" * 20, "0x" + "22" * 32, "0xzz"]
    ),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "to",
                    "data",
                    "gas",
                    "address",
                    "topics",
                    "fromBlock",
                    "blockHash",
                    "privateFor",
                    "privacyFlag",
                    "from",
                ]
            ),
            each,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def node_methods():
    return methods()


NAMES = sorted(methods().table)


@settings(max_examples=400)
@given(name=st.sampled_from(NAMES), params=st.lists(json_values, max_size=4))
def test_any_arguments_give_an_answer_or_an_error(node_methods, name, params):
    """No method falls over, whatever it is called with."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": params}).encode()
    reply = json.loads(answer(node_methods, body))
    assert ("result" in reply) is not ("error" in reply)
    assert reply.get("error", {}).get("message") != "method handler crashed"


@given(st.binary(max_size=200))
def test_any_body_gives_an_answer(node_methods, body):
    """Nothing that is posted makes a traceback."""
    assert isinstance(answer(node_methods, body), bytes)


def test_known_values():
    """Vectors from the yellow paper's and Ethereum's tests, and from the measured network."""
    assert encode([b"cat", [b"puppy", b"cow"]]).hex() == "cf83636174ca85707570707983636f77"
    dogs = {b"do": b"verb", b"dog": b"puppy", b"doge": b"coin", b"horse": b"stallion"}
    assert trie_root(dogs).hex() == (
        "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84"
    )
    assert list_root([]).hex() == (
        "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    )
    sender = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert contract_address(sender, 0).hex() == "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert intrinsic_gas(b"\0\1", creates=False) == 21_020
    assert intrinsic_gas(b"", creates=True) == 53_000


def test_a_measured_log_has_its_measured_bloom():
    """The bits of a receipt at GoQuorum 24.4.1."""
    address = "da807a9af9d5bf2caca08de5c5fd4156c6605aa9"
    topics = (
        "4146daae0fd2513e5f25d0f3ed07be90cad46bc48de72c1b1c5ad19251c25b21",
        "0000000000000000000000000000000000000000000000000000000000000005",
        "0000000000000000000000006f93251213e7b826016a16e88d8e27a2fb14fb0a",
    )
    bits = [423, 430, 744, 875, 900, 1323, 1359, 1476, 1499, 1516, 1776, 1980]
    found = bloom([bytes.fromhex(part) for part in (address, *topics)])
    assert int.from_bytes(found, "big") == sum(1 << bit for bit in bits)
