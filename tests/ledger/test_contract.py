"""The contract's words: every ticket survives them, and nothing else passes for one."""

import contextlib
import json
from importlib import resources

import pytest
from builders import drawn_tickets, ticket, tickets
from eth_abi import abi as eth_abi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ledger import contract
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.errors import (
    ContractMissing,
    NotTheStation,
    TicketConflict,
    TicketInconsistent,
    TransactionFailed,
)
from steelyard.ledger.packing import pack
from steelyard.ticket import MAX_TIMESTAMP_MS, TicketFilter, check_vehicle

# Some that the contract takes and the input rule refuses: of no width, turning text, at the ends.
INVISIBLE = "\u200b\u200e\u202e\u2028\u2060\u2066\ufeff\ufdd0\uffff\u00a0\u3000"


def components(function: str) -> list[str]:
    """The members of the struct that a function takes first, by the artefact."""
    file = resources.files("steelyard.ledger") / "artefacts" / "StationTickets.json"
    abi = json.loads(file.read_text())["abi"]
    (item,) = [one for one in abi if one.get("name") == function]
    return [one["name"] for one in item["inputs"][0]["components"]]


def test_structs_are_those_of_the_artefact():
    """The order of the members, which the codec relies on, is that of the compiled contract."""
    assert components("register") == [
        "id",
        "terminalSerial",
        "terminalRestart",
        "timestamp",
        "scaleSerial",
        "status",
        "gross",
        "tare",
        "net",
        "vehicle",
        "cells",
    ]
    assert components("query") == [
        "id",
        "terminalSerial",
        "restartFrom",
        "restartTo",
        "timestampFrom",
        "timestampTo",
        "scaleSerial",
        "status",
        "vehicle",
        "grossFrom",
        "grossTo",
        "tareFrom",
        "tareTo",
        "netFrom",
        "netTo",
        "cellSerial",
        "cellWeightFrom",
        "cellWeightTo",
        "newestFirst",
    ]


def test_every_error_of_the_contract_has_its_named_problem():
    """No custom error of the artefact is left to the nameless sentence."""
    for error in station_tickets().errors.values():
        assert error.name in contract._PROBLEMS


@given(drawn_tickets())
def test_a_ticket_survives_its_words(one):
    """Encoding and decoding gives the same ticket."""
    assert contract.words_ticket(contract.ticket_words(one)) == one


@settings(max_examples=30)
@given(st.lists(drawn_tickets(), min_size=1, max_size=4))
def test_a_registration_survives_its_payload(some):
    """What a transaction's payload registers can be read back, in order."""
    assert contract.decode_registration(contract.encode_registration(some)) == tuple(some)


def in_form(name: str, some) -> bytes:
    """A registering payload in one of the contract's three forms."""
    words = [contract.ticket_words(one) for one in some]
    function = station_tickets().functions[name]
    if name == "registerPacked":
        return function.encode(pack(some))
    return function.encode(words[0] if name == "register" else words)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(drawn_tickets(), min_size=1, max_size=4))
def test_every_form_of_a_registration_is_read(some):
    """Who registers without our codec is proved like the platform."""
    for name in ("register", "registerMany", "registerPacked"):
        held = some[:1] if name == "register" else some
        assert contract.decode_registration(in_form(name, held)) == tuple(held)


@pytest.mark.parametrize("name", ["register", "registerMany", "registerPacked"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_form_has_two_spellings(name, data):
    """An altered byte, or one more, gives other tickets or a ValueError, in each form."""
    some = tickets(1 if name == "register" else 2)
    payload = bytearray(in_form(name, some))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    for changed in (bytes(payload), in_form(name, some) + b"\0"):
        with contextlib.suppress(ValueError):
            assert contract.decode_registration(changed) != tuple(some)


@settings(max_examples=300)
@given(st.data())
def test_an_altered_payload_is_another_registration_or_none(data):
    """No other bytes than the canonical ones decode to the same tickets."""
    some = tickets(2)
    payload = bytearray(contract.encode_registration(some))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = contract.decode_registration(bytes(payload))
    except ValueError:
        return
    assert decoded != tuple(some)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_registration_or_a_value_error(payload):
    """Decoding never fails in another way than ValueError."""
    for selector in (b"", contract.encode_registration(tickets(1))[:4]):
        with pytest.raises(ValueError, match=r"it calls|arguments"):
            contract.decode_registration(selector + payload)


@given(drawn_tickets(), drawn_tickets())
def test_fingerprints_tell_tickets_apart(one, other):
    """Two tickets share a fingerprint exactly when they are equal."""
    assert (contract.fingerprint(one) == contract.fingerprint(other)) == (one == other)


def test_an_open_filter_lets_everything_pass():
    """Absent members become the contract's `any` and the ends of the types."""
    words = contract.filter_words(TicketFilter(), newest=False)
    (kind, *_) = station_tickets().functions["query"].inputs
    assert eth_abi.decode([kind], eth_abi.encode([kind], [words]))[0] == words
    assert words[0] == ""
    assert words[2:6] == (0, 2**32 - 1, 0, 2**64 - 1)
    assert words[16:] == (-(2**63), 2**63 - 1, False)


def revert(name: str, *arguments: object) -> contract.Revert:
    (error,) = [one for one in station_tickets().errors.values() if one.name == name]
    return contract.decode_revert("0x" + error.encode(*arguments).hex())


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("TicketKnown", ("a",), TicketConflict),
        ("NetMismatch", ("a",), TicketInconsistent),
        ("NoCells", ("a",), TicketInconsistent),
        ("TooManyCells", ("a", 33), TicketInconsistent),
        ("InvalidField", ("a", "gross"), TicketInconsistent),
        ("NotTheStation", ("0x" + 40 * "1",), NotTheStation),
        ("BatchTooLarge", (201, 200), TransactionFailed),
        ("EmptyBatch", (), TransactionFailed),
    ],
)
def test_a_revert_becomes_its_named_error(name, arguments, kind):
    """The custom error's data is decoded to the room's error."""
    assert isinstance(revert(name, *arguments).as_problem(), kind)


@given(
    st.one_of(st.none(), st.text(max_size=20), st.binary(max_size=80).map(lambda b: "0x" + b.hex()))
)
def test_an_unknown_revert_has_no_name(data):
    """Whatever a node gives as a revert's data, it is a failed transaction in words."""
    assert isinstance(contract.decode_revert(data).as_problem(), TransactionFailed)


@given(st.binary(max_size=200))
def test_nonsense_at_an_address_is_no_contract(data):
    """What is no answer of the station contract is told as such."""
    with pytest.raises(ContractMissing):
        contract.decode_fingerprints(b"\xff" + data)
    with pytest.raises(ContractMissing):
        contract.decode_entry(b"")


def test_a_time_that_no_date_can_say_is_no_ticket():
    """The contract cannot hold one; a node that says so is told."""
    words = list(contract.ticket_words(ticket()))
    words[3] = MAX_TIMESTAMP_MS + 1
    with pytest.raises(contract.NotATicket):
        contract.words_ticket(words)


def _takes(vehicle: bytes) -> bool:
    """Whether the contract takes a vehicle of these bytes, by contracts/Fields.sol."""
    try:
        text = vehicle.decode()
    except UnicodeDecodeError:
        return False
    ends = (text[:1], text[-1:])
    controls = any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 for one in text)
    return 0 < len(vehicle) <= 32 and " " not in ends and not controls


accepted = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from(INVISIBLE),
    min_size=1,
    max_size=16,
).filter(lambda text: _takes(text.encode()))


@given(accepted)
def test_what_the_contract_takes_is_readable_again(vehicle):
    """A text that today's input rule refuses is shown as it was registered, letter for letter."""
    words = list(contract.ticket_words(ticket()))
    words[9] = vehicle.encode().ljust(32, b"\0")
    read = contract.words_ticket(words)
    assert read.vehicle == vehicle
    assert json.loads(read.model_dump_json(by_alias=True))["vehicle"] == vehicle
    assert contract.ticket_words(read) == tuple(words)
    payload = station_tickets().functions["register"].encode(tuple(words))
    assert contract.decode_registration(payload) == (read,)


@given(st.text(max_size=33) | accepted)
def test_what_is_taken_as_input_the_contract_takes(vehicle):
    """The input rule refuses everything that the contract would."""
    try:
        taken = check_vehicle(vehicle)
    except ValueError:
        return
    assert taken == vehicle
    assert vehicle == "" or _takes(vehicle.encode())


@given(st.binary(min_size=32, max_size=32), st.integers(1, 9))
def test_no_word_makes_a_page_fail(word, at):
    """Whatever stands in a text's place, the ticket is shown, and its neighbours with it."""
    words = list(contract.ticket_words(ticket()))
    if isinstance(words[at], bytes):
        words[at] = word
    words[6] += 1
    shown = json.loads(contract.words_ticket(words).model_dump_json(by_alias=True))
    assert shown["scaleGross"] == words[6]


def test_the_event_tells_the_indexes_and_the_transaction():
    """Only the contract's own event counts, and it holds the indexes it names."""
    topic = station_tickets().registered_topic
    log = {
        "address": "0xABcd" + 36 * "0",
        "topics": [topic, "0x" + 63 * "0" + "5"],
        "data": "0x" + 63 * "0" + "3",
        "transactionHash": "0x1",
    }
    other = log | {"address": "0x" + 40 * "2"}
    (event,) = contract.registered_events([log, other], "0xabCD" + 36 * "0")

    assert [index for index in range(10) if event.holds(index)] == [5, 6, 7]
    assert event.transaction_hash == "0x1"
