"""Records are cut and packed without loss, whatever comes in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.coap.records import (
    HEADER_LENGTH,
    client_random,
    is_client_hello,
    pack_records,
    split_records,
)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """One well-formed record."""
    body = draw(st.binary(max_size=300))
    head = bytes([draw(st.integers(20, 23)), 0xFE, draw(st.sampled_from([0xFD, 0xFF]))])
    return head + draw(st.binary(min_size=8, max_size=8)) + len(body).to_bytes(2, "big") + body


@given(st.lists(records(), max_size=8))
def test_whole_records_come_back(row: list[bytes]) -> None:
    """What was a row of records is cut into those records."""
    assert split_records(b"".join(row)) == row


@given(st.lists(records(), max_size=4), st.binary(max_size=60))
def test_junk_behind_is_dropped(row: list[bytes], junk: bytes) -> None:
    """Junk behind records neither hides them nor becomes part of one."""
    found = split_records(b"".join(row) + junk)
    assert found[: len(row)] == row
    assert b"".join(found) == (b"".join(row) + junk)[: sum(map(len, found))]


@given(st.binary(max_size=2000))
def test_any_datagram(datagram: bytes) -> None:
    """Whatever comes, the records are whole and a prefix of it."""
    found = split_records(datagram)
    assert datagram.startswith(b"".join(found))
    for record in found:
        assert len(record) == HEADER_LENGTH + int.from_bytes(record[11:13], "big")
    if is_client_hello(datagram):
        assert len(client_random(datagram)) == 32


@given(st.lists(records(), min_size=1, max_size=8), st.integers(0, 50))
def test_cut_off_record_is_dropped(row: list[bytes], cut: int) -> None:
    """A cut-off last record is not fed to anybody."""
    flight = b"".join(row)
    kept = flight[: len(flight) - min(cut, len(flight))]
    assert b"".join(split_records(kept)) == kept[: sum(map(len, split_records(kept)))]
    if 0 < cut <= len(row[-1]):
        assert split_records(kept) == row[:-1]


@given(st.lists(records(), max_size=12), st.integers(100, 1400))
def test_packing(row: list[bytes], mtu: int) -> None:
    """Datagrams keep every record whole and in order, and respect the MTU where they can."""
    datagrams = pack_records(b"".join(row), mtu)
    assert b"".join(datagrams) == b"".join(row)
    for datagram in datagrams:
        inside = split_records(datagram)
        assert b"".join(inside) == datagram
        assert len(datagram) <= mtu or len(inside) == 1
    for first, second in pairwise(datagrams):
        assert len(first) + len(split_records(second)[0]) > mtu, "filled as far as it goes"


def test_packing_refuses_what_is_no_row_of_records() -> None:
    """Bytes that are not records are a programming error, not a datagram."""
    with pytest.raises(ValueError, match="not a row"):
        pack_records(b"\x16\xfe\xfd junk", 1200)
