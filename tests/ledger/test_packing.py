"""The packed batch, as this side writes and reads it."""

import contextlib

import pytest
from builders import drawn_tickets, ticket, tickets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ledger.packing import MAX_TICKETS, pack, unpack, unpackable
from steelyard.ticket import Ticket


@st.composite
def timed_tickets(draw: st.DrawFn) -> Ticket:
    """Any ticket, its id mostly ending in its time, as a SmartBox makes it."""
    one = draw(drawn_tickets())
    derived = f"{one.id[:80]}{one.timestamp}"
    return one.model_copy(update={"id": derived}) if draw(st.booleans()) else one


slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(st.lists(timed_tickets(), min_size=1, max_size=6))
def test_tickets_survive_their_packing(some):
    """Every ticket that the model allows can be packed, and comes back as it was, in its place."""
    assert [unpackable(one) for one in some] == [None] * len(some)
    assert unpack(pack(some)) == tuple(some)


@slow
@given(st.lists(timed_tickets(), min_size=1, max_size=3), st.data())
def test_no_other_bytes_are_the_same_tickets(some, data):
    """A packed batch has one form: any change gives other tickets, or a ValueError."""
    packed = bytearray(pack(some))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert unpack(bytes(packed)) != tuple(some)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_batch_or_a_value_error(data):
    """Reading fails in no other way."""
    try:
        tickets_read = unpack(data)
    except ValueError:
        return
    assert pack(tickets_read) == data


@pytest.mark.parametrize("count", [0, MAX_TICKETS + 1])
def test_the_number_of_tickets_is_bounded(count):
    """A batch has 1 to 200 tickets."""
    with pytest.raises(ValueError, match="1 to 200"):
        pack(tickets(count))


def test_what_a_packing_leaves_out_must_follow_from_the_rest():
    """Net is not written: a ticket with another net than gross - tare has no packed form."""
    assert "net" in (unpackable(ticket(1).model_copy(update={"net": 1})) or "")
