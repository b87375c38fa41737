"""The ABI's encoding of tickets and pages, beside the codec that everybody uses."""

import contextlib

import pytest
from builders import drawn_tickets, tickets
from eth_abi import abi as eth_abi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ledger import contract
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.errors import ContractMissing, LedgerProblem
from steelyard.ledger.protocol import Entry, Page
from steelyard.ledger.ticket_abi import encode_ticket, read_page

slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
numbers = st.integers(0, 2**64 - 1)


def as_returned(page: Page) -> bytes:
    """What `query` returns for a page."""
    words = [(contract.ticket_words(e.ticket), e.index, e.block_number) for e in page.entries]
    return eth_abi.encode(station_tickets().functions["query"].outputs, (words, page.next))


@slow
@given(drawn_tickets())
def test_a_ticket_is_encoded_as_the_abi_codec_does(one):
    """Byte for byte what eth_abi gives for the struct of the compiled contract."""
    (kind,) = station_tickets().functions["register"].inputs
    assert encode_ticket(one) == eth_abi.encode([kind], [contract.ticket_words(one)])


@slow
@given(st.lists(st.builds(Entry, drawn_tickets(), numbers, numbers), max_size=4), numbers)
def test_a_page_is_read_as_the_abi_codec_does(entries, following):
    """Every page that a contract can return is read by the quick way, and rightly."""
    page = Page(tuple(entries), following)
    assert read_page(as_returned(page), 500) == page


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_an_altered_page_is_another_or_none(data):
    """Whatever byte a node changes: the quick way reads what the codec reads, or nothing."""
    page = Page(tuple(Entry(one, 7, 9) for one in tickets(2)), 5)
    changed = bytearray(as_returned(page))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    for altered in (bytes(changed), bytes(changed[: -data.draw(st.integers(1, 200))])):
        found = read_page(altered, 500)
        if found is None:
            continue
        assert found != page
        words, following = station_tickets().functions["query"].decode_output(altered)
        assert [e.ticket for e in found.entries] == [contract.words_ticket(w[0]) for w in words]
        assert [(e.index, e.block_number) for e in found.entries] == [w[1:] for w in words]
        assert found.next == following


@given(st.binary(max_size=500))
def test_any_bytes_are_a_page_or_none(data):
    """Reading fails in no other way, and then the codec has its say."""
    read_page(data, 500)
    with contextlib.suppress(LedgerProblem):
        contract.decode_page(data, 500)


def test_entries_that_share_a_ticket_are_no_page():
    """Reading costs no more than the answer's length, whatever a node's offsets point at."""
    data = bytearray(as_returned(Page(tuple(Entry(one, 7, 9) for one in tickets(2)), 5)))
    data[96 + 32 : 96 + 64] = data[96 : 96 + 32]
    assert read_page(bytes(data), 500) is None
    with pytest.raises(ContractMissing):
        contract.decode_page(bytes(data), 500)


def test_more_entries_than_asked_for_are_no_page():
    """Nor is anything behind the last one."""
    data = as_returned(Page(tuple(Entry(one, 7, 9) for one in tickets(2)), 5))
    assert read_page(data, 2) is not None
    assert read_page(data, 1) is None
    assert read_page(data + bytes(32), 2) is None
