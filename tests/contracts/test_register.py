"""What may be registered, by whom, and what a refusal says."""

import pytest
from contract_bed import (
    INTERFACE,
    STRANGER,
    ContractError,
    Station,
    ticket_tuple,
    to_word,
)
from contract_tickets import BASE, make_ticket, tickets
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.ticket import MAX_GRAMS, MAX_TIMESTAMP_MS, MIN_GRAMS

FIELDS = {
    "id": 0,
    "terminalSerial": 1,
    "terminalRestart": 2,
    "timestamp": 3,
    "scaleSerial": 4,
    "status": 5,
    "gross": 6,
    "tare": 7,
    "net": 8,
    "vehicle": 9,
    "cells": 10,
}


def raw(**changes):
    """The struct of a plain ticket with some members replaced by whatever the ABI can carry."""
    values = list(ticket_tuple(make_ticket()))
    for name, value in changes.items():
        values[FIELDS[name]] = value
    return tuple(values)


def refusal(station: Station, *values, caller=None) -> tuple:
    """The error's name and arguments when these structs are registered."""
    name, argument = ("register", values[0]) if len(values) == 1 else ("registerMany", list(values))
    sender = {} if caller is None else {"caller": caller}
    with pytest.raises(ContractError) as caught:
        station.send(INTERFACE.encode_call(name, argument), **sender)
    return (caught.value.name, *caught.value.arguments)


@settings(max_examples=50, deadline=None)
@given(one=tickets(1), others=st.lists(st.integers(2, 50), unique=True, max_size=5), data=st.data())
def test_a_ticket_comes_back_as_it_went_in(one, others, data):
    """Every ticket that the model allows is taken, and each field is returned unchanged."""
    station = Station()
    batch = [one, *(data.draw(tickets(number)) for number in others)]
    station.register(*batch)
    for number, ticket in enumerate(batch, 1):
        entry = station.get(ticket.id)
        assert (entry.ticket, entry.index) == (ticket, number)
    assert station.total() == len(batch)


@settings(max_examples=40, deadline=None)
@given(crowd=st.integers(1, 6).flatmap(lambda n: st.tuples(*(tickets(i) for i in range(n)))))
def test_a_fingerprint_is_the_hash_of_the_abi_encoded_ticket(crowd):
    """fingerprints(ids) == keccak256(abi.encode(ticket)), as any ABI codec has it; 0 if unknown."""
    station = Station()
    station.register(*crowd)
    (found,) = station.call("fingerprints", [*(ticket.id for ticket in crowd), "nobody", ""])
    model = [keccak(encode([INTERFACE.ticket_type], [ticket_tuple(ticket)])) for ticket in crowd]
    assert list(found) == [*model, bytes(32), bytes(32)]


def test_only_the_station_registers(station):
    """Anybody else is refused, by name, for one and for many, before anything else is looked at."""
    assert refusal(station, raw(), caller=STRANGER) == ("NotTheStation", STRANGER)
    assert refusal(station, raw(), raw(), caller=STRANGER) == ("NotTheStation", STRANGER)
    with pytest.raises(ContractError) as caught:
        station.register(caller=STRANGER)
    assert caught.value.name == "NotTheStation"
    assert station.total() == 0
    station.register(make_ticket())
    assert station.total() == 1


def test_the_deployer_is_the_station(station):
    """`station` is the account that deployed."""
    assert station.call("station")[0] == "0x" + "51" * 20


def test_a_known_id_is_refused(station):
    """The same id again is refused, with the same content or another, alone or in a batch."""
    station.register(make_ticket(id="a"))
    for other in (make_ticket(id="a"), make_ticket(id="a", timestamp=BASE + 5)):
        assert refusal(station, ticket_tuple(other)) == ("TicketKnown", "a")
        assert refusal(station, raw(id="b"), ticket_tuple(other)) == ("TicketKnown", "a")
    assert refusal(station, raw(id="c"), raw(id="d"), raw(id="c", timestamp=7)) == (
        "TicketKnown",
        "c",
    )
    assert station.total() == 1


def test_a_batch_is_all_or_nothing(station):
    """One bad ticket at the end of a batch, and none of it is registered."""
    good = [raw(id=f"t{i}") for i in range(99)]
    assert refusal(station, *good, raw(id="bad", net=1)) == ("NetMismatch", "bad")
    assert station.total() == 0
    (found,) = station.call("fingerprints", [f"t{i}" for i in range(99)])
    assert set(found) == {bytes(32)}


def test_the_size_of_a_batch_is_bounded(station):
    """A batch has 1 to 200 tickets."""
    with pytest.raises(ContractError) as caught:
        station.register()
    assert (caught.value.name, caught.value.arguments) == ("EmptyBatch", ())
    too_many = [raw(id=f"t{i}") for i in range(201)]
    assert refusal(station, *too_many) == ("BatchTooLarge", 201, 200)
    station.send(INTERFACE.encode_call("registerMany", too_many[:200]))
    assert station.total() == 200


@pytest.mark.parametrize(("gross", "tare", "net"), [(5, 3, 1), (5, 3, 3), (0, 1, 0), (3, 5, 2)])
def test_gross_less_tare_is_net(station, gross, tare, net):
    """A net weight that is another than gross - tare is refused."""
    assert refusal(station, raw(gross=gross, tare=tare, net=net)) == ("NetMismatch", raw()[0])


@pytest.mark.parametrize("count", [0, 33, 200])
def test_the_number_of_cells_is_bounded(station, count):
    """A ticket has 1 to 32 cells."""
    wanted = ("TooManyCells", raw()[0], count) if count else ("NoCells", raw()[0])
    assert refusal(station, raw(cells=[(to_word("c"), 1)] * count)) == wanted


INVALID = [
    *(
        ("id", text)
        for text in ("", "-a", ".a", "_a", "~", "a b", "a/b", "a\0", "ä", "a\n", "a@", "x" * 97)
    ),
    *(("id", text) for text in ("[", "a`", "a{", "a:", "a,", "y" * 5000)),
    *(
        (name, word)
        for name in ("terminalSerial", "scaleSerial")
        for word in (
            bytes(32),
            to_word(" a"),
            to_word("a "),
            to_word("a\x7fb"),
            to_word("a\nb"),
            to_word("é"),
            b"a\0b".ljust(32, b"\0"),
            b"\0a".ljust(32, b"\0"),
            b"a".ljust(31, b"\0") + b"z",
        )
    ),
    *(
        ("status", to_word(text))
        for text in ("", "OK", "0k", "-ok", "o k", "a_b", "a" * 13, "é", "o\0k", "a{", "a`")
    ),
    ("timestamp", MAX_TIMESTAMP_MS + 1),
    ("timestamp", 2**64 - 1),
    ("gross", -1),
    ("gross", MAX_GRAMS + 1),
    ("gross", 2**63 - 1),
    ("tare", -1),
    ("tare", MAX_GRAMS + 1),
    ("tare", -(2**63)),
    *(
        ("vehicle", word.ljust(32, b"\0"))
        for word in (
            b" a",
            b"a ",
            b"a\0b",
            b"\0a",
            b"a\tb",
            b"\x7f",
            b"\x80",
            b"a\xc3",
            b"\xc0\xaf",
            b"\xc1\xbf",
            b"\xc2\x85",
            b"\xe0\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xf0\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\xe4\xbd",
            b"\xe4\xbdA",
            b"\xff",
            b"x" * 31 + b"\xc3",
            b"x" * 30 + b"\xe4\xbd",
            b"x" * 29 + b"\xf0\x9f\x9a",
        )
    ),
]


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_an_invalid_field_is_named(station, name, value):
    """What ticket.py forbids, and what the storage cannot hold, is refused by the field's name."""
    changed = raw(**{name: value})
    assert refusal(station, changed) == ("InvalidField", changed[0], name)
    assert refusal(station, raw(id="other"), changed) == ("InvalidField", changed[0], name)
    assert station.total() == 0


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ((to_word("c"), MAX_GRAMS + 1), "cells.weight"),
        ((to_word("c"), MIN_GRAMS - 1), "cells.weight"),
        ((bytes(32), 1), "cells.serial"),
        ((to_word(" c"), 1), "cells.serial"),
    ],
)
@pytest.mark.parametrize("place", [0, 8, 31])
def test_an_invalid_cell_is_named(station, cell, name, place):
    """A bad cell is refused wherever it stands among the 32."""
    cells = [(to_word(f"c{i}"), i) for i in range(32)]
    cells[place] = cell
    assert refusal(station, raw(cells=cells)) == ("InvalidField", raw()[0], name)


def test_a_text_known_in_one_place_is_not_thereby_valid_in_another(station):
    """A vehicle's text in letters beyond ASCII is no serial, though the dictionary has it."""
    station.register(make_ticket(id="a", vehicle="Łódź"))
    word = to_word("Łódź")
    assert refusal(station, raw(id="b", scaleSerial=word)) == ("InvalidField", "b", "scaleSerial")
    assert refusal(station, raw(id="b", status=to_word("T1"))) == ("InvalidField", "b", "status")


@pytest.mark.parametrize(
    "vehicle", ["é" * 16, "🚚" * 8, "߿", "ࠀ", "\U0010ffff", "a b", "a\u00a1", "x" * 32]
)
def test_well_formed_vehicles_are_taken(station, vehicle):
    """UTF-8 of every length, up to the last byte of the word."""
    station.send(INTERFACE.encode_call("register", raw(vehicle=to_word(vehicle))))
    (entry,) = station.call("get", raw()[0])
    assert entry[0][9] == to_word(vehicle)


@settings(max_examples=300, deadline=None)
@given(text=st.binary(min_size=1, max_size=32) | st.text(min_size=1, max_size=12).map(str.encode))
def test_no_vehicle_is_taken_that_is_not_text(text):
    """The contract takes a vehicle's bytes just when they are trimmed UTF-8 without controls."""
    word = text[:32].ljust(32, b"\0")
    text = word.rstrip(b"\0")
    try:
        decoded = text.decode()
        valid = decoded != "" and decoded.strip(" ") == decoded
        valid = valid and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in decoded)
    except UnicodeDecodeError:
        valid = False
    if not text:
        return
    station = Station()
    data = INTERFACE.encode_call("register", raw(vehicle=word))
    if valid:
        station.send(data)
    else:
        with pytest.raises(ContractError, match="InvalidField"):
            station.send(data)


def test_one_event_a_transaction_tells_the_indexes(station):
    """TicketsRegistered carries the first index and the number of tickets."""
    topic = "0x" + keccak(text="TicketsRegistered(uint64,uint64)").hex()
    for first, batch in ((1, ["a"]), (2, ["b", "c", "d"]), (5, ["e"])):
        station.register(*(make_ticket(id=each) for each in batch))
        (log,) = station.evm.result.logs
        assert log.topics == [topic, "0x" + first.to_bytes(32, "big").hex()]
        assert log.data[1] == len(batch).to_bytes(32, "big")
