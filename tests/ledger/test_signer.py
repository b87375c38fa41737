"""Signing: what GoQuorum accepts, made and read back."""

import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from steelyard.ledger.encoding import from_hex, rlp_decode, rlp_encode, to_hex
from steelyard.ledger.errors import LedgerProblem
from steelyard.ledger.protocol import SigningKey
from steelyard.ledger.signer import (
    PrivateTransaction,
    address_of,
    contract_address,
    recover_sender,
    sign,
    transaction_hash,
)

secret_keys = st.integers(1, 2**255).map(lambda number: SigningKey(number.to_bytes(32, "big")))
addresses = st.none() | st.binary(min_size=20, max_size=20).map(to_hex)
transactions = st.builds(
    PrivateTransaction,
    nonce=st.integers(0, 2**64 - 1),
    gas=st.integers(1, 2**63),
    to=addresses,
    data=st.binary(min_size=64, max_size=64),
)


@given(secret_keys, transactions)
def test_the_sender_is_recovered_from_the_signature(key, transaction):
    """The raw transaction has v 37 or 38, and its signature names the key's address."""
    signed = sign(key, transaction)
    *fields, v, r, s = rlp_decode(from_hex(signed.raw))
    v, r, s = (int.from_bytes(part, "big") for part in (v, r, s))

    assert v in (37, 38)
    assert recover_sender(transaction.fields(), v, r, s) == address_of(key)
    assert transaction_hash(transaction.fields(), v, r, s) == signed.hash
    assert rlp_encode(fields) == rlp_encode(transaction.fields())


def test_the_signature_is_that_of_an_independent_library():
    """Apart from v, a transaction without chain id is what eth-account signs."""
    key = SigningKey(bytes(range(1, 33)))
    to, data = "0x" + 40 * "a", bytes(64)
    signed = sign(key, PrivateTransaction(7, 100_000, to, data))
    document = {"nonce": 7, "gasPrice": 0, "gas": 100_000, "to": from_hex(to), "value": 0}
    theirs = Account.sign_transaction(document | {"data": data}, key.secret)
    *fields, v, r, s = rlp_decode(from_hex(signed.raw))

    assert address_of(key) == Account.from_key(key.secret).address
    assert (int.from_bytes(r, "big"), int.from_bytes(s, "big")) == (theirs.r, theirs.s)
    assert int.from_bytes(v, "big") - 37 == theirs.v - 27
    assert [bytes(field) for field in rlp_decode(theirs.raw_transaction)[:6]] == fields


def test_a_contract_address_is_that_of_the_first_transaction():
    """A known pair from the wire: keccak(rlp([sender, nonce]))[12:]."""
    sender = "0xAdEa438459b1422D1b86BaE26F3badC6469ccc61"
    assert contract_address(sender, 0).lower() == "0xc039f7e8678afc0df4f2a1e7a6cbb5283927d4a2"


@pytest.mark.parametrize(
    "secret",
    [b"", b"short", bytes(32), b"\xff" * 32, bytes(range(33))],
    ids=["empty", "short", "zero", "beyond the order", "long"],
)
def test_a_bad_key_is_refused_without_showing_it(secret):
    """Bytes that are no key give a named error that does not contain them."""
    with pytest.raises(LedgerProblem) as caught:
        address_of(SigningKey(secret))
    assert caught.value.__cause__ is None
    assert secret.hex() not in str(caught.value) or not secret


def test_a_key_is_not_shown():
    """Neither the key nor the raw transaction is in a repr."""
    key = SigningKey(bytes(range(1, 33)))
    signed = sign(key, PrivateTransaction(1, 1, None, bytes(64)))
    assert key.secret.hex() not in repr(key)
    assert str(key.secret) not in repr(key)
    assert signed.raw not in repr(signed)


@given(st.integers(0, 100), st.integers(0, 2**256), st.integers(0, 2**256))
def test_any_numbers_have_a_sender_or_none(v, r, s):
    """A signature that is none gives None, never an exception."""
    fields = PrivateTransaction(1, 1, None, bytes(64)).fields()
    found = recover_sender(fields, v, r, s)
    assert found is None or found.startswith("0x")


def test_the_fast_curve_is_in_use():
    """eth-keys signs through libsecp256k1, not in pure Python."""
    assert type(PrivateKey(bytes(31) + b"\1").backend).__name__ == "CoinCurveECCBackend"
