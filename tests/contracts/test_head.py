"""What stands behind a call's arguments: the contract leaves it alone, in each of its forms."""

import pytest
from contract_bed import INTERFACE, Station, ticket_tuple
from contract_tickets import crowds, make_ticket
from hypothesis import given, settings

from steelyard.ledger.packing import pack
from steelyard.ledger.sealing import seal
from steelyard.ticket import AlibiHead

HEAD = AlibiHead(sequence=4711, hash="5e" * 32)
FORMS = ("register", "registerMany", "registerPacked")


def calldata(name: str, some: list) -> bytes:
    if name == "registerPacked":
        return INTERFACE.encode_call(name, pack(some))
    values = [ticket_tuple(one) for one in some]
    return INTERFACE.encode_call(name, values[0] if name == "register" else values)


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=20, deadline=None)
@given(some=crowds(most=3).filter(bool))
def test_a_head_changes_nothing_in_the_contract(name, some):
    """The same tickets, fingerprints and indexes as without it."""
    held = some[:1] if name == "register" else some
    plain, sealed = Station(), Station()
    plain.send(calldata(name, held))
    sealed.send(calldata(name, held) + seal(HEAD))
    assert sealed.total() == plain.total() == len(held)
    ids = [one.id for one in held]
    assert sealed.call("fingerprints", ids) == plain.call("fingerprints", ids)
    for one in held:
        assert sealed.get(one.id) == plain.get(one.id)


@pytest.mark.parametrize("tail", [b"\xff", b"\xff" * 1000, seal(HEAD) * 3])
def test_nothing_behind_a_packed_batch_is_read_as_a_part_of_it(tail):
    """Batches that are cut short are refused as ever, whatever follows."""
    some = [make_ticket(id=f"t{number}") for number in range(3)]
    packed = pack(some)
    station = Station()
    for size in range(len(packed)):
        call = INTERFACE.encode_call("registerPacked", packed[:size])
        with pytest.raises(Exception, match=r"MalformedBatch|EmptyBatch|unnamed|halt|Halt"):
            station.send(call + tail)
    station.send(INTERFACE.encode_call("registerPacked", packed) + tail)
    assert station.total() == 3
