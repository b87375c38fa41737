"""Strict parsing of bodies, forms and queries."""

import enum
import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from steelyard.errors import InvalidRequest, Problem
from steelyard.ticket import Timestamp
from steelyard.web.errors import MalformedBody, MalformedQuery
from steelyard.web.parsing import (
    read_json,
    read_json_as,
    read_parameters,
    read_parameters_as,
    read_value,
)


class Colour(enum.StrEnum):
    RED = "red"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: int = Field(alias="cellWeight")


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    count: int = 0
    flag: bool = False
    colour: Colour | None = None
    cells: tuple[Inner, ...] = ()


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    count: Annotated[int, Field(ge=-5)] | None = None
    flag: bool | None = None
    colour: Colour | None = None
    at: Timestamp | None = None
    names: list[str] | None = None
    numbers: tuple[int, ...] = ()
    text: str | None = None


def refusal(function: Callable[..., Any], *arguments: Any) -> Problem | None:
    """The problem that a call raises; anything else that it raises fails the test."""
    try:
        function(*arguments)
    except Problem as problem:
        return problem
    return None


numbers = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_is_json_is_read(value: Any) -> None:
    """A JSON text of moderate depth is read as it was written."""
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused(raw: bytes) -> None:
    """Any bytes either are JSON or raise MalformedBody; nothing else happens."""
    refused = refusal(read_json, raw)
    assert refused is None or (refused.status == 400 and refused.detail)


@given(json_values)
def test_a_model_is_read_or_refused(value: Any) -> None:
    """Any JSON value is a draft or raises a problem of status 400 or 422."""
    refused = refusal(read_json_as, Draft, json.dumps(value).encode())
    assert refused is None or refused.status in {400, 422}


@given(json_values, st.data())
def test_a_text_that_is_cut_off_is_refused(value: Any, data: st.DataObject) -> None:
    """No object or array is read from a part of its text."""
    raw = json.dumps([value]).encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(MalformedBody):
        read_json(raw[:cut])


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1, "a": 1}', "'a' is given twice"),
        (b'[{"x": {"a": 1, "b": 2, "a": 3}}]', "'a' is given twice"),
        (b"NaN", "NaN is not"),
        (b"[-Infinity]", "-Infinity is not"),
        (b"1" * 33, "more than 32 characters"),
        (b"1." + b"0" * 40, "more than 32 characters"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a": ', "not JSON"),
        (b"[" * 17 + b"]" * 17, "more than 16 levels"),
        (b"[" * 10**6, "more than 16 levels"),
    ],
)
def test_what_is_refused_says_why(raw: bytes, said: str) -> None:
    """The sentence names what is wrong."""
    with pytest.raises(MalformedBody, match=said):
        read_json(raw)


def test_sixteen_levels_are_read() -> None:
    """The limit of depth is not off by one."""
    assert read_json(b"[" * 16 + b"]" * 16)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"count": 1.0}, {"count"}),
        ({"count": "1"}, {"count"}),
        ({"count": True}, {"count"}),
        ({"flag": 1}, {"flag"}),
        ({"flag": "true"}, {"flag"}),
        ({"name": 1}, {"name"}),
        ({"colour": "RED"}, {"colour"}),
        ({"cells": [{"cellWeight": 1}, {"cellWeight": 1.5}]}, {"cells.1.cellWeight"}),
        ({"cells": [{"cellWeight": 1, "x": 1}]}, {"cells.0.x"}),
        ({"unknown": 1, "count": None}, {"unknown", "count"}),
    ],
)
def test_errors_name_their_fields(body: dict[str, Any], fields: set[str]) -> None:
    """Each error has the path of its field, as it was sent."""
    with pytest.raises(InvalidRequest) as raised:
        read_json_as(Draft, json.dumps(body).encode())
    assert {error.field for error in raised.value.errors} == fields


def test_errors_do_not_show_what_was_sent() -> None:
    """A refused value may be a secret: it is not in the problem."""
    with pytest.raises(InvalidRequest) as raised:
        read_json_as(Draft, b'{"count": "hunter2"}')
    assert "hunter2" not in json.dumps(raised.value.as_dict())


def test_errors_are_bounded() -> None:
    """A body with a thousand errors is answered with twenty."""
    cells = [{"cellWeight": "x"}] * 1000
    with pytest.raises(InvalidRequest) as raised:
        read_json_as(Draft, json.dumps({"cells": cells}).encode())
    assert len(raised.value.errors) == 20


def query(text: str) -> Query:
    return read_parameters_as(Query, read_parameters(text, MalformedQuery), MalformedQuery)


def test_a_query_is_read() -> None:
    """Each kind of field takes its canonical form; only lists may be repeated."""
    read = query(
        "count=-5&flag=true&colour=red&at=2020-11-12T06:01:29.392Z&names=a&names=b+c&numbers=1&text=7"
    )
    assert read == Query(
        count=-5,
        flag=True,
        colour=Colour.RED,
        at=1605160889392,
        names=["a", "b c"],
        numbers=(1,),
        text="7",
    )
    assert query("at=1605160889392").at == 1605160889392
    assert query("") == Query()


@pytest.mark.parametrize(
    "text",
    ["1.0", "1e3", "+1", "01", "-0", " 1", "1 ", "1_0", "0x1", "", "true", "١", "-6", "9" * 40],
)
def test_integers_are_canonical_in_queries(text: str) -> None:
    """Anything but canonical decimal within the range is refused by name."""
    with pytest.raises(InvalidRequest) as raised:
        query(urlencode({"count": text}))
    assert [error.field for error in raised.value.errors] == ["count"]


@pytest.mark.parametrize("text", ["1", "0", "True", "yes", ""])
def test_booleans_are_true_and_false(text: str) -> None:
    """Nothing else is a boolean in a query."""
    with pytest.raises(InvalidRequest):
        query(urlencode({"flag": text}))


@pytest.mark.parametrize("text", ["count=1&count=1", "text=a&text=b", "x=1&x=2"])
def test_repeated_parameters_are_refused(text: str) -> None:
    """A parameter that is no list is given once."""
    with pytest.raises(MalformedQuery, match="more than once"):
        query(text)


@pytest.mark.parametrize("text", ["a", "=a", "a=%", "a=%f", "a=%zz", "a=%ff", "%ff=a", "a=1&", "&"])
def test_malformed_queries_are_refused(text: str) -> None:
    """Every pair is name=value in percent-encoded UTF-8."""
    with pytest.raises(MalformedQuery):
        query(text)


@given(st.text())
def test_any_query_is_read_or_refused(text: str) -> None:
    """No text makes anything else happen."""
    refused = refusal(query, text)
    assert refused is None or refused.status in {400, 422}


@given(
    st.dictionaries(st.sampled_from(["text"]), st.text(st.characters(exclude_categories=["Cs"])))
)
def test_encoded_parameters_come_back(values: dict[str, str]) -> None:
    """What urlencode wrote is read as it was."""
    assert dict(read_parameters(urlencode(values), MalformedQuery)) == values


def test_path_values_are_checked() -> None:
    """A part of the path that breaks its rule is refused with its name."""
    adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(pattern="^[a-z]+$")])
    assert read_value(adapter, "id", "abc") == "abc"
    with pytest.raises(InvalidRequest) as raised:
        read_value(adapter, "id", "ABC")
    assert [error.field for error in raised.value.errors] == ["id"]
