"""Numbers, bytes and RLP have one spelling each; every other one is refused."""

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from steelyard.ledger.encoding import (
    from_hex,
    from_quantity,
    rlp_decode,
    rlp_encode,
    to_hex,
    to_quantity,
)

items = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=5), max_leaves=20
)


@given(items)
def test_what_is_encoded_is_read_again(item):
    """Up to the depth that anything here has."""
    try:
        assert rlp_decode(rlp_encode(item)) == item
    except ValueError:
        assert depth(item) > 8


def depth(item) -> int:
    return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0


@given(st.one_of(st.binary(max_size=12), items.map(rlp.encode)), st.data())
def test_any_bytes_are_read_as_the_library_reads_them(data, draw):
    """Also one byte off: the same items, or refused by both."""
    if data and draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]
    try:
        theirs = rlp.decode(data)
    except rlp.exceptions.DecodingError:
        with pytest.raises(ValueError, match=r"."):
            rlp_decode(data)
        return
    if depth(theirs) <= 8:
        assert rlp_decode(data) == theirs


def test_deep_nesting_is_refused():
    """Long before the interpreter's stack ends."""
    with pytest.raises(ValueError, match="nested too deeply"):
        rlp_decode(deep(5_000))


def deep(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        data = rlp.codec.length_prefix(len(data), 0xC0) + data
    return data


@given(st.integers(0, 2**256))
def test_a_quantity_is_read_again(number):
    """As JSON-RPC writes it."""
    assert from_quantity(to_quantity(number)) == number


@pytest.mark.parametrize(
    "text", ["", "0x", "1", "0x01", "0X1", "0x1_0", "0x 1", "0x+1", "0xG", "0xA", "0x1\n", 1, None]
)
def test_another_spelling_of_a_number_is_refused(text):
    """Python reads most of these as numbers."""
    with pytest.raises(ValueError, match="not a quantity"):
        from_quantity(text)


@given(st.binary(max_size=40))
def test_bytes_are_read_again(data):
    """As JSON-RPC writes them."""
    assert from_hex(to_hex(data)) == data


@pytest.mark.parametrize("text", ["", "00", "0x0", "0x0 0", "0x00 11", "0xzz", " 0x00", 7, None])
def test_what_is_no_hexadecimal_is_refused(text):
    """Blanks included, which Python passes over."""
    with pytest.raises(ValueError, match=r"."):
        from_hex(text)
