"""The ticket's rules: what passes is exactly what the contract can hold."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from steelyard.ticket import (
    MAX_TIMESTAMP_MS,
    Ticket,
    TicketFilter,
    format_timestamp,
    parse_timestamp,
)

TICKET = {
    "ticketID": "station-1_wb-1_1605160889392",
    "terminalSerialNumber": "T112001",
    "terminalRestartValue": 1,
    "timestamp": "2020-11-12T06:01:29.392Z",
    "scaleSerialNumber": "WB1120102",
    "scaleStatus": "ok",
    "scaleGross": 17_000_000,
    "scaleTare": 6_680_000,
    "scaleNet": 10_320_000,
    "vehicle": "BH-59-VJ",
    "cells": [
        {"cellSerialNumber": "LC1", "cellWeight": 17_000_100},
        {"cellSerialNumber": "LC2", "cellWeight": -100},
    ],
}

UNSEEN = (
    "\x00\x1f\x7f\x85\x9f\u061c\u200b\u200f\u2028\u202a\u202e\u2060\u2066\u2069\ufeff"
    "\ufdd0\ufffe\U0010ffff"
)
BLANKS = " \u00a0\u1680\u2000\u200a\u202f\u205f\u3000"


def read(**changes: object) -> Ticket:
    return Ticket.model_validate_json(json.dumps({**TICKET, **changes}))


def test_json_comes_back_as_it_went() -> None:
    """A ticket's JSON form is the paper's, and reading and writing it changes nothing."""
    assert read().as_json() == TICKET


def test_what_a_vehicle_may_be_does_not_follow_the_interpreter() -> None:
    """What Unicode may give a meaning tomorrow is taken today, and so is a blank inside."""
    for text in ("a\U000323b0b", "a\ue000b", "A\u00a0B", "A B", "Łódź 46"):
        assert read(vehicle=text).vehicle == text


def test_a_vehicle_is_optional() -> None:
    """A weighing of something that is no vehicle has none."""
    without = {key: value for key, value in TICKET.items() if key != "vehicle"}
    assert Ticket.model_validate_json(json.dumps(without)).vehicle is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ticketID", ""),
        ("ticketID", "a" * 97),
        ("ticketID", "a/b"),
        ("ticketID", "../x"),
        ("ticketID", "a\n"),
        ("ticketID", 7),
        ("terminalSerialNumber", ""),
        ("terminalSerialNumber", " T"),
        ("terminalSerialNumber", "T\x00"),
        ("terminalSerialNumber", "T" * 33),
        ("terminalSerialNumber", "Té"),
        ("terminalRestartValue", -1),
        ("terminalRestartValue", 2**32),
        ("terminalRestartValue", True),
        ("terminalRestartValue", 1.0),
        ("terminalRestartValue", "1"),
        ("timestamp", "2020-11-12T06:01:29.392"),
        ("timestamp", "2020-11-12T06:01:29.3921Z"),
        ("timestamp", "2020-13-12T06:01:29Z"),
        ("timestamp", "12-November-2020 17:47:50"),
        ("timestamp", "1969-12-31T23:59:59Z"),
        ("timestamp", True),
        ("timestamp", 1.5),
        ("timestamp", MAX_TIMESTAMP_MS + 1),
        ("timestamp", -1),
        ("scaleSerialNumber", "x\ty"),
        ("scaleStatus", "OK"),
        ("scaleStatus", ""),
        ("scaleStatus", "a" * 13),
        ("scaleGross", -1),
        ("scaleGross", 2**31),
        ("scaleGross", 10.5),
        ("scaleGross", 10**400),
        ("scaleTare", -1),
        ("scaleNet", 10_320_001),
        ("scaleNet", None),
        ("vehicle", ""),
        ("vehicle", " X"),
        *[("vehicle", f"a{character}b") for character in UNSEEN],
        *[("vehicle", f"{blank}b") for blank in BLANKS],
        *[("vehicle", f"a{blank}") for blank in BLANKS],
        ("vehicle", "Ü" * 17),
        ("cells", []),
        ("cells", None),
        ("cells", [{"cellSerialNumber": "L", "cellWeight": 1}] * 33),
        ("cells", [{"cellSerialNumber": "L", "cellWeight": 2**31}]),
        ("cells", [{"cellSerialNumber": "L"}]),
        ("cells", [{"cellSerialNumber": "L", "cellWeight": 1, "more": 1}]),
        ("unknown", 1),
    ],
)
def test_what_is_out_of_bounds_is_refused(field: str, value: object) -> None:
    """Every field refuses what the contract could not hold or a reader would misread."""
    with pytest.raises(ValidationError):
        read(**{field: value})


@given(st.integers(0, MAX_TIMESTAMP_MS))
def test_timestamps_keep_their_millisecond(milliseconds: int) -> None:
    """Writing and reading a time gives the very same millisecond."""
    assert parse_timestamp(format_timestamp(milliseconds)) == milliseconds


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9990, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(-14 * 60, 14 * 60),
)
def test_offsets_are_taken_into_account(moment: datetime, minutes: int) -> None:
    """A time with an offset is the same instant as its UTC form."""
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    # The wall clock at offset +h reads h more than UTC.
    text = (whole + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat("T", "milliseconds")
    assert parse_timestamp(f"{text}{sign}{hours:02d}:{rest:02d}") == parse_timestamp(
        format_timestamp((whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
    )


@pytest.mark.parametrize(
    ("ticket_filter", "passes"),
    [
        ({}, True),
        ({"id": TICKET["ticketID"]}, True),
        ({"id": "other"}, False),
        ({"timestamp_from": "2020-11-12T06:01:29.392Z"}, True),
        ({"timestamp_from": "2020-11-12T06:01:29.393Z"}, False),
        ({"timestamp_to": "2020-11-12T06:01:29.391Z"}, False),
        ({"gross_from": 17_000_000, "gross_to": 17_000_000}, True),
        ({"net_to": 10_319_999}, False),
        ({"vehicle": "BH-59-VJ", "status": "ok"}, True),
        ({"vehicle": "bh-59-vj"}, False),
        ({"cell_serial": "LC2", "cell_weight_from": 0}, False),
        ({"cell_serial": "LC2", "cell_weight_to": 0}, True),
        ({"cell_weight_from": 17_000_000}, True),
        ({"restart_from": 2}, False),
    ],
)
def test_a_filter_passes_what_meets_all_of_it(ticket_filter: dict, passes: bool) -> None:
    """Members combine with 'and', ranges include both ends, a cell's two members mean one cell."""
    assert TicketFilter.model_validate(ticket_filter).matches(read()) is passes
