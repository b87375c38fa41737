"""Header hashes and transaction roots, against blocks of a real network."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.ledger import block
from steelyard.ledger.encoding import from_hex, keccak, rlp_encode, to_hex
from steelyard.ledger.trie import list_root

# A GoQuorum 24.4.1 block with one private transaction, as its JSON-RPC gave it.
REAL = json.loads((Path(__file__).parent / "quorum_block.json").read_text())
EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"


def test_a_real_header_hashes_to_its_block_hash():
    """The commit seals and the round are left out, as QBFT does."""
    assert block.header_hash(REAL) == REAL["hash"]


def test_a_real_blocks_transactions_have_its_root():
    """The trie over the transactions is the header's."""
    assert block.transactions_root(REAL) == REAL["transactionsRoot"]


def test_a_real_transaction_hashes_and_names_its_sender():
    """Content, hash and sender of a private transaction agree."""
    (transaction,) = REAL["transactions"]
    assert block.content_hash(transaction) == transaction["hash"]
    assert block.signer_of(transaction).lower() == transaction["from"]


def test_roots_of_known_lists():
    """No items, and one short item, have the roots that the yellow paper's rules give."""
    assert to_hex(list_root([])) == EMPTY_ROOT
    leaf = rlp_encode([from_hex("0x2080"), b"a" * 40])
    assert list_root([b"a" * 40]) == keccak(leaf)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=300), st.data())
def test_every_item_and_its_place_count(items, data):
    """A changed, dropped or swapped item changes the root."""
    root = list_root(items)
    assert root == list_root(list(items))
    if items:
        at = data.draw(st.integers(0, len(items) - 1))
        assert list_root([*items[:at], items[at] + b"\0", *items[at + 1 :]]) != root
        assert list_root(items[:-1]) != root


@given(
    st.sampled_from(sorted(set(REAL) - {"hash", "size", "totalDifficulty", "uncles"})), st.data()
)
def test_an_altered_header_has_another_hash(name, data):
    """Any byte of any member counts: in the hash, or for the transactions in their root."""
    if name == "transactions":
        transaction = dict(REAL["transactions"][0])
        member = data.draw(st.sampled_from(["nonce", "gas", "to", "input", "r", "s"]))
        transaction[member] = _flip(transaction[member] or "0x" + 40 * "0", data)
        altered = REAL | {"transactions": [transaction]}
        assert block.transactions_root(altered) != REAL["transactionsRoot"]
        return
    altered = REAL | {name: _flip(REAL[name], data)}
    if name == "extraData":  # the round and the seals do not count: everything before them does
        return
    assert block.header_hash(altered) != REAL["hash"]


def _flip(text: str, data: st.DataObject) -> str:
    at = data.draw(st.integers(2, len(text) - 1))
    other = data.draw(st.sampled_from([one for one in "123456789abcdef" if one != text[at]]))
    return text[:at] + other + text[at + 1 :]


@pytest.mark.parametrize(
    "nonsense", [{}, {"transactions": [{}]}, {"extraData": "0x", "mixHash": 3}]
)
def test_nonsense_is_no_block(nonsense):
    """What is no block gives None, never an exception."""
    assert block.header_hash(nonsense) is None
    assert block.content_hash(nonsense) is None
    assert block.signer_of(nonsense) is None
    assert block.target_of(nonsense) is None
    assert block.transactions_root(nonsense) is None
