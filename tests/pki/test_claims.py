"""Claim codes: written and read, proved and sealed."""

import re

from hypothesis import given
from hypothesis import strategies as st

from steelyard.pki.claims import (
    ALPHABET,
    ClaimCode,
    is_proved,
    is_sealed,
    prove,
    seal,
)

CODES = st.builds(
    ClaimCode,
    st.text(ALPHABET, min_size=8, max_size=8),
    st.text(ALPHABET, min_size=16, max_size=16),
)


@given(CODES)
def test_what_is_shown_is_read(code: ClaimCode) -> None:
    """With dashes, without, in small letters, with blanks, and as people misread it."""
    shown = code.shown()
    assert re.fullmatch(r"([0-9A-Z]{4}-){5}[0-9A-Z]{4}", shown)
    misread = shown.replace("1", "l").replace("0", "o")
    for text in (shown, shown.replace("-", ""), shown.lower(), f" {shown} \n", misread):
        assert ClaimCode.parse(text) == code


@given(st.text(max_size=200))
def test_anything_else_is_no_code(text: str) -> None:
    """Never an exception; and what is read says the same when it is shown."""
    code = ClaimCode.parse(text)
    assert code is None or ClaimCode.parse(code.shown()) == code


def test_a_code_shows_its_secret_to_nobody() -> None:
    """Neither its representation nor its key does."""
    code = ClaimCode.new()
    assert code.secret not in repr(code)
    assert code.secret.encode() not in code.key()


@given(CODES, CODES, st.binary(max_size=50), st.binary(max_size=50))
def test_a_proof_is_for_one_code_and_one_request(
    code: ClaimCode, other: ClaimCode, request: bytes, another: bytes
) -> None:
    """It proves nothing of another request or with another code."""
    proof = prove(code.key(), request)
    assert is_proved(code.key(), request, proof)
    assert is_proved(code.key(), another, proof) == (request == another)
    assert is_proved(other.key(), request, proof) == (code == other)


@given(CODES, st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8)))
def test_a_seal_holds_its_parts_apart(
    code: ClaimCode, parts: list[bytes], others: list[bytes]
) -> None:
    """The same bytes, cut elsewhere, are not what was sealed; a proof is no seal."""
    given_seal = seal(code.key(), parts)
    assert is_sealed(code.key(), others, given_seal) == (parts == others)
    assert not is_sealed(code.key(), parts, prove(code.key(), b"".join(parts)))
