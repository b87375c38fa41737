"""The packed batch: the same tickets as by the ABI, in few bytes, and nothing else."""

import contextlib
import random
from typing import Any

import pytest
from contract_bed import (
    INTERFACE,
    STRANGER,
    ContractError,
    Station,
    ticket_tuple,
)
from contract_tickets import BASE, crowds, filters, make_ticket, random_ticket, tickets
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.ledger.packing import pack, unpack
from steelyard.ticket import (
    MAX_CELLS,
    MAX_GRAMS,
    MAX_TIMESTAMP_MS,
    CellWeight,
    Ticket,
    TicketFilter,
)

LAYOUT_HEAD, TICKET_HEAD = 98, 20


def refusal(station: Station, batch: bytes, **call: Any) -> tuple[Any, ...]:
    """The error's name and arguments when these bytes are registered."""
    with pytest.raises(ContractError) as caught:
        station.send(INTERFACE.encode_call("registerPacked", batch), **call)
    return (caught.value.name, *caught.value.arguments)


def forged(**changes: Any) -> Ticket:
    """A plain ticket with members that the model does not allow."""
    values = dict(make_ticket()) | changes
    values["net"] = values["gross"] - values["tare"]
    return Ticket.model_construct(**values)


@settings(max_examples=60, deadline=None)
@given(crowd=crowds().filter(bool), wanted=filters(), seed=st.integers(0, 2**32))
def test_a_packed_batch_registers_what_the_abi_registers(crowd, wanted, seed):
    """Whichever way tickets come in, in whatever mixture, the contract holds and finds the same."""
    source = random.Random(seed)  # noqa: S311 - nothing secret is made of it
    plain, packed = Station(), Station()
    at = 0
    while at < len(crowd):
        size = source.randint(1, len(crowd) - at)
        batch = crowd[at : at + size]
        plain.register(*batch)
        if source.random() < 0.2:
            packed.register(*batch)
        else:
            packed.register_packed(*batch)
        at += size
    for ticket in crowd:
        assert packed.get(ticket.id) == plain.get(ticket.id)
        assert packed.get(ticket.id).ticket == ticket
    ids = [[ticket.id for ticket in crowd]]
    assert packed.call("fingerprints", *ids) == plain.call("fingerprints", *ids)
    assert packed.query(wanted) == plain.query(wanted)
    assert packed.count(wanted) == plain.count(wanted)
    assert packed.total() == plain.total() == len(crowd)


def test_one_event_tells_the_indexes(station):
    """A packed batch gives the same event as an ABI one."""
    station.register(make_ticket(id="a"))
    first = [log.topics[0] for log in station.evm.result.logs]
    station.register_packed(*(make_ticket(id=f"t{n}") for n in range(7)))
    (log,) = station.evm.result.logs
    assert log.topics == [*first, "0x" + (2).to_bytes(32, "big").hex()]
    assert log.data[1] == (7).to_bytes(32, "big")


def test_only_the_station_registers(station):
    """Anybody else is refused before anything is read."""
    for batch in (pack([make_ticket()]), b"", b"junk"):
        assert refusal(station, batch, caller=STRANGER) == ("NotTheStation", STRANGER)


def test_a_known_id_is_refused(station):
    """Derived or written out, in the contract or earlier in the batch; nothing gets in then."""
    station.register(make_ticket(id="a"), make_ticket())
    derived = make_ticket().id
    assert refusal(station, pack([make_ticket(id="a")])) == ("TicketKnown", "a")
    assert refusal(station, pack([make_ticket(id="b"), make_ticket()])) == ("TicketKnown", derived)
    twice = [make_ticket(id=f"x{BASE}"), make_ticket(id="c"), make_ticket(id=f"x{BASE}")]
    assert refusal(station, pack(twice)) == ("TicketKnown", f"x{BASE}")
    assert station.total() == 2


def test_the_size_of_a_batch_is_bounded(station):
    """A batch has 1 to 200 tickets."""
    most = pack([make_ticket(id=f"t{n}") for n in range(200)])
    place = 1 + LAYOUT_HEAD + 4 * 32
    assert most[place] == 200
    assert refusal(station, most[:place] + b"\0") == ("EmptyBatch",)
    assert refusal(station, b"\0\0") == ("EmptyBatch",)
    assert refusal(station, most[:place] + b"\xc9" + most[place + 1 :]) == (
        "BatchTooLarge",
        201,
        200,
    )
    station.send(INTERFACE.encode_call("registerPacked", most))
    assert station.total() == 200


INVALID = [
    *(("id", {"id": text}) for text in ("-a", ".a", "a b", "ä", "a@", "x" * 97, "y" * 255)),
    # Ids that end in their time, so that only the part before it is written.
    *(("id", {"id": f"{text}{BASE}"}) for text in ("-", "_a", "a b", "é", "x" * 84, "x" * 97)),
    ("timestamp", {"timestamp": MAX_TIMESTAMP_MS + 1}),
    ("timestamp", {"timestamp": 2**48 - 1}),
    ("gross", {"gross": MAX_GRAMS + 1, "tare": 0}),
    ("gross", {"gross": 2**32 - 1, "tare": 0}),
    ("tare", {"tare": MAX_GRAMS + 1}),
    *(
        (name, {member: text})
        for name, member in (("terminalSerial", "terminal_serial"), ("scaleSerial", "scale_serial"))
        for text in ("", " a", "a ", "a\x7fb", "a\nb", "é", "a\0b", "\0a")
    ),
    *(("status", {"status": text}) for text in ("", "OK", "0k", "o k", "a" * 13, "é", "o\0k")),
    *(("vehicle", {"vehicle": text}) for text in (" a", "a ", "a\0b", "\0a", "a\tb", "\x7f")),
    *(
        (
            "cells.serial",
            {"cells": (*make_ticket().cells, CellWeight.model_construct(serial=s, weight=1))},
        )
        for s in ("", " c", "é")
    ),
]


@pytest.mark.parametrize(("name", "changes"), INVALID)
def test_an_invalid_field_is_named(station, name, changes):
    """What `register` refuses is refused by the same error, and leaves nothing behind."""
    bad = forged(**changes)
    for batch in ([bad], [make_ticket(id="other"), bad]):
        kind, ticket_id, field = refusal(station, pack(batch))
        assert (kind, field) == ("InvalidField", name)
        # Of a derived id that is too long only its written part is told.
        assert ticket_id
        assert bad.id.startswith(ticket_id)
    assert station.total() == 0
    if len(bad.id) <= 96 and name != "vehicle":
        with pytest.raises(ContractError) as caught:
            station.send(INTERFACE.encode_call("register", ticket_tuple(bad)))
        assert caught.value.arguments == (bad.id, name)


@pytest.mark.parametrize("count", [0, 33, 200])
def test_the_number_of_cells_is_bounded(station, count):
    """A ticket has 1 to 32 cells."""
    bad = forged(cells=tuple(CellWeight(serial="c", weight=1) for _ in range(count)))
    wanted = ("TooManyCells", bad.id, count) if count else ("NoCells", bad.id)
    assert refusal(station, pack([bad])) == wanted


def test_a_vehicle_of_more_than_a_word_is_malformed(station):
    """Its length is beyond what the encoding allows."""
    good = pack([make_ticket(vehicle="v" * 32)])
    place = 1 + LAYOUT_HEAD + len("station-1_WB-1_") + 4 * 32 + 1 + TICKET_HEAD - 1
    assert good[place] == 32
    bad = good[:place] + b"\x21" + good[place + 1 :]
    assert refusal(station, bad)[0] == "MalformedBatch"


@settings(max_examples=60, deadline=None)
@given(one=tickets(1), other=tickets(2), data=st.data())
def test_a_batch_cut_or_continued_is_malformed(one, other, data):
    """Every cut, and anything behind the last ticket, is refused; nothing is registered."""
    station = Station()
    good = pack([one, other])
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    for bad in (cut, good + data.draw(st.binary(min_size=1, max_size=40))):
        assert refusal(station, bad)[0] in ("MalformedBatch", "EmptyBatch")
    assert station.total() == 0


@settings(max_examples=300, deadline=None)
@given(one=tickets(1), other=tickets(2), data=st.data())
def test_altered_bytes_register_valid_tickets_or_none(one, other, data):
    """Whatever the bytes say: what gets in are tickets by every rule, as many as the event says."""
    station = Station()
    batch = bytearray(pack([one, other]))
    for _ in range(data.draw(st.integers(1, 3))):
        batch[data.draw(st.integers(0, len(batch) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        station.send(INTERFACE.encode_call("registerPacked", bytes(batch)), gas=30_000_000)
    except ContractError:
        assert station.total() == 0
        return
    (log,) = station.evm.result.logs
    total = station.total()
    assert int.from_bytes(log.data[1], "big") == total
    page, following = station.query(TicketFilter())
    assert (len(page), following) == (total, 0)
    held = sorted(page, key=lambda entry: entry.index)
    for entry in held:
        assert station.get(entry.ticket.id) == entry
    # Another spelling of tickets is none that the platform's codec takes for its own.
    with contextlib.suppress(ValueError):
        assert unpack(bytes(batch)) == tuple(entry.ticket for entry in held)


PREFIXES = (b"", b"", b"a", b"station-1_WB-1_", b"x" * 83, b"x" * 96, b"-", b"\xff bad", b"y" * 255)
IDS = (b"", b"", b"", b"ok", f"a{BASE}".encode(), b"-bad", b"\xff", b"z" * 97)


@st.composite
def raw_batches(draw: st.DrawFn) -> bytes:
    """Well-formed bytes that say anything: any prefix, both kinds of ids on any layout."""

    def text(*choices: bytes) -> bytes:
        return draw(st.sampled_from(choices)).ljust(32, b"\0")

    cells = draw(st.lists(st.sampled_from([1, 1, 2, 9]), min_size=1, max_size=3))
    layouts = []
    for count in cells:
        prefix = draw(st.sampled_from(PREFIXES))
        texts = text(b"T1", b"T1", b"T2"), text(b"WB-1", b"WB-2"), text(b"ok", b"ok", b"OK")
        serials = [text(b"LC-1", b"LC-2", b"LC-2", b" x") for _ in range(count)]
        layouts.append(b"".join([*texts, bytes([count, len(prefix)]), prefix, *serials]))
    records = []
    for number in range(draw(st.integers(1, 5))):
        layout = draw(st.integers(0, len(cells) - 1))
        vehicle = draw(st.sampled_from([b"", b"AA-1", b"AA-1", b"A\0", b" a"]))
        name = draw(st.sampled_from(IDS))
        name += str(number).encode() if name == b"ok" else b""
        time = (BASE + draw(st.integers(0, 6))).to_bytes(6, "big")
        weights = bytes(4 * cells[layout])
        numbers = (1000).to_bytes(4, "big") + bytes(8)
        head = bytes([layout]) + time + numbers + bytes([len(vehicle)])
        records.append(head + vehicle + bytes([len(name)]) + name + weights)
    return b"".join([bytes([len(cells)]), *layouts, bytes([len(records)]), *records])


@settings(max_examples=600, deadline=None)
@given(batch=raw_batches())
def test_a_batch_is_taken_exactly_when_its_tickets_are_and_in_one_form(batch):
    """Against a station that registers by the ABI: the same tickets, pages and refusals."""
    packed, plain = Station(), Station()
    try:
        said: tuple[Ticket, ...] = unpack(batch)
        plain.register(*said)
    except (ValueError, ContractError):
        assert refusal(packed, batch)
        assert packed.total() == 0
        return
    packed.send(INTERFACE.encode_call("registerPacked", batch))
    (log,) = packed.evm.result.logs
    assert int.from_bytes(log.data[1], "big") == packed.total() == len(said)
    assert packed.query(TicketFilter()) == plain.query(TicketFilter())
    assert [packed.get(one.id).ticket for one in said] == list(said)


def layout(prefix: bytes, serial: bytes = b"c") -> bytes:
    """A layout of one cell."""
    texts = [word.ljust(32, b"\0") for word in (b"T", b"S", b"ok")]
    return b"".join([*texts, bytes([1, len(prefix)]), prefix, serial.ljust(32, b"\0")])


def record(number: int, time: int, name: bytes = b"", vehicle: bytes = b"") -> bytes:
    """A ticket of one cell that weighs nothing."""
    head = bytes([number]) + time.to_bytes(6, "big") + bytes(12) + bytes([len(vehicle)])
    return head + vehicle + bytes([len(name)]) + name + bytes(4)


@pytest.mark.parametrize("prefix", [b"-\xff bad", b"a", b"p" * 97, b"p" * 255])
@pytest.mark.parametrize("name", [b"ok1", b""])
def test_a_prefix_is_always_checked(station, prefix, name):
    """Also when the first ticket of its layout writes its id out: else the next could have any."""
    batch = b"".join([b"\1", layout(prefix), b"\2", record(0, 1000, name), record(0, 1001)])
    if (prefix, name) == (b"a", b""):
        station.send(INTERFACE.encode_call("registerPacked", batch))
        assert station.total() == 2
        return
    assert refusal(station, batch)[0] in ("MalformedBatch", "InvalidField")
    assert station.total() == 0


@pytest.mark.parametrize(
    "batch",
    [
        b"\2" + layout(b"") + layout(b"", b"d") + b"\1" + record(0, 1),
        b"\2" + layout(b"") + layout(b"", b"d") + b"\2" + record(1, 1) + record(0, 2),
        b"\2" + layout(b"") + layout(b"") + b"\2" + record(0, 1) + record(1, 2),
        b"\1" + layout(b"") + b"\1" + record(0, 17, b"a17"),
        b"\1" + layout(b"") + b"\1" + record(0, 17, b"", b"V\0"),
        b"\1" + layout(b"") + b"\1" + record(1, 17),
    ],
    ids=["unused", "out of order", "twice", "id that is derived", "vehicle padded", "no layout"],
)
def test_tickets_have_one_batch(station, batch):
    """What our codec does not write, the contract does not take."""
    assert refusal(station, batch)[0] == "MalformedBatch"
    with pytest.raises(ValueError, match="packed batch"):
        unpack(batch)


def test_the_encoding_is_small():
    """A ticket of four cells with a vehicle takes 50 bytes or less, its layout aside."""
    batch = [make_ticket(id=f"station-1_WB-1_{BASE + n}", timestamp=BASE + n) for n in range(100)]
    assert len(pack(batch)) <= 1 + LAYOUT_HEAD + len("station-1_WB-1_") + 128 + 1 + 100 * 50


@pytest.mark.parametrize("cells", [1, 7, 8, 9, 16, 31, MAX_CELLS])
def test_any_number_of_cells_comes_back(station, cells):
    """Weights keep their cells, across the words that hold eight of them."""
    ticket = make_ticket(
        cells=tuple(CellWeight(serial=f"c{n}", weight=(-1) ** n * (n + 1)) for n in range(cells))
    )
    station.register_packed(ticket, random_ticket(random.Random(cells), 7))  # noqa: S311 - made up
    assert station.get(ticket.id).ticket == ticket
