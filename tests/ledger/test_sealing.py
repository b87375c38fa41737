"""The alibi head behind a registration: read back whole, taken by the contract, told by a proof."""

import json

import pytest
from builders import drawn_tickets, ticket, tickets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ledger import contract
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.examination import examine
from steelyard.ledger.export_cli import describe as describe_export
from steelyard.ledger.gathering import latest
from steelyard.ledger.sealing import MARK, decode_sealed, encode_sealed, seal
from steelyard.ticket import MAX_ALIBI_RECORDS, AlibiHead, CellWeight

HEAD = AlibiHead(sequence=4711, hash="5e" * 32)
heads = st.builds(
    AlibiHead,
    sequence=st.integers(1, MAX_ALIBI_RECORDS),
    hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(drawn_tickets(), min_size=1, max_size=4), st.none() | heads)
def test_a_head_survives_the_payload(some, head):
    """With a head or without one, the tickets and the head are read back."""
    payload = encode_sealed(some, head)
    assert decode_sealed(payload) == (tuple(some), head)
    assert payload.startswith(contract.encode_registration(some))


@settings(max_examples=200)
@given(st.data())
def test_an_altered_payload_is_another_or_none(data):
    """No other bytes than these say the same tickets and the same head."""
    some = tickets(2)
    payload = bytearray(encode_sealed(some, HEAD))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_sealed(bytes(payload))
    except ValueError:
        return
    assert decoded != (tuple(some), HEAD)


@pytest.mark.parametrize("tail", [b"\0", MARK, seal(HEAD) + b"\0", bytes(32) + seal(HEAD)])
def test_nothing_else_may_stand_behind_a_registration(tail):
    """A byte more than a head is no registration."""
    with pytest.raises(ValueError, match="arguments"):
        decode_sealed(contract.encode_registration(tickets(2)) + tail)


@pytest.mark.parametrize(
    "words",
    [MARK + bytes(64), MARK + (1 << 63).to_bytes(32, "big") + bytes(32)],
    ids=["number 0", "number beyond 63 bits"],
)
def test_a_head_with_a_bad_number_is_none(words):
    """Records count from 1."""
    with pytest.raises(ValueError, match="arguments"):
        decode_sealed(contract.encode_registration(tickets(2)) + words)


def test_weights_that_spell_the_mark_are_weights():
    """A station that forges a seal within its tickets' weights has made tickets, and no head."""
    spelt = seal(HEAD)
    grams = [
        int.from_bytes(spelt[at : at + 4], "big", signed=True) for at in range(0, len(spelt), 4)
    ]
    # In groups of eight the last cell comes first (contracts/Packed.sol).
    turned = [one for at in range(0, 24, 8) for one in grams[at : at + 8][::-1]]
    cells = tuple(CellWeight(serial=f"c{at}", weight=one) for at, one in enumerate(turned))
    for length in range(32):
        # Some length of the vehicle puts the forged words right at the end of the payload.
        forged = ticket(2, id="x", cells=cells, vehicle="v" * length or None)
        payload = encode_sealed([ticket(1), forged], None)
        assert decode_sealed(payload) == ((ticket(1), forged), None)
        if payload.endswith(spelt):
            break
    else:
        pytest.fail("no payload ended in the forged words")


def test_the_latest_head_stands_for_the_others():
    """The one with most records; a tie is broken the same way in any order."""
    one, two = AlibiHead(sequence=1, hash="ff" * 32), AlibiHead(sequence=2, hash="00" * 32)
    fork = AlibiHead(sequence=2, hash="01" * 32)
    assert latest([]) is latest([None]) is None
    assert latest([one, None, two]) == two
    assert latest([fork, two, one]) == latest([two, fork]) == fork


@pytest.mark.parametrize("count", [1, 3])
async def test_a_registration_carries_its_head(ledger, writer, customer_view, count):
    """By both forms: the contract holds the tickets as ever, and the proof tells the head."""
    some = tickets(count)
    outcomes = await ledger.register(writer, some, HEAD)
    assert all(outcome.created for outcome in outcomes)
    for outcome, one in zip(outcomes, some, strict=True):
        proof = await ledger.verify(customer_view, outcome.receipt, one)
        assert [check.name for check in proof.checks if not check.holds] == []
        assert proof.alibi_head == HEAD
    # A repeat brings another head: the ticket is the same, and so is its receipt.
    later = AlibiHead(sequence=9999, hash="00" * 32)
    (again, *_) = await ledger.register(writer, some, later)
    assert (again.created, again.receipt) == (False, outcomes[0].receipt)


async def test_an_export_tells_the_heads(tmp_path, ledger, writer, customer_view):
    """In the order of the chain, and transactions from before there were heads beside them."""
    await ledger.register(writer, [ticket(1)])
    await ledger.register(writer, [ticket(2), ticket(3)], HEAD)
    later = AlibiHead(sequence=4800, hash="a1" * 32)
    await ledger.register(writer, [ticket(4)], later)
    path = tmp_path / "station.ndjson"
    await ledger.exporter(customer_view).export(path)
    found = []
    examined = await examine(path, on_registration=found.append)
    assert [one.alibi_head for one in found] == [None, HEAD, later]
    assert "2 of them also seal the station's alibi memory" in "\n".join(
        describe_export(examined, None)
    )
    altered = path.read_text().replace("5e" * 32, "5f" * 32)
    assert altered != path.read_text()
    path.write_text(altered)
    with pytest.raises(Exception, match="digest"):
        await examine(path)


def test_the_seal_is_three_words_for_any_tool():
    """The mark is keccak-256 of a text, the number and the hash are an uint256 and a bytes32."""
    from eth_abi import decode

    mark, number, digest = decode(["bytes32", "uint256", "bytes32"], seal(HEAD))
    assert (mark, number, digest.hex()) == (MARK, HEAD.sequence, HEAD.hash)
    assert MARK.hex() == "" or len(MARK) == 32
    assert json.loads(HEAD.model_dump_json()) == {"sequence": 4711, "hash": "5e" * 32}
    assert MARK[:4] not in {one.selector for one in station_tickets().functions.values()}
