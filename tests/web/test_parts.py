"""The small parts: cursors, ETags, rate limits, health."""

import asyncio
from typing import Annotated

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from steelyard.errors import ConfigurationError
from steelyard.web.endpoint import Reply
from steelyard.web.errors import (
    BadCursor,
    MalformedBody,
    PreconditionFailed,
    PreconditionRequired,
    TooManyRequests,
)
from steelyard.web.etag import etag_of, require_match, with_etag
from steelyard.web.health import Health
from steelyard.web.pages import decode_cursor, encode_cursor
from steelyard.web.ratelimit import RateLimiter, client_key

POSITION: TypeAdapter[tuple[int, str]] = TypeAdapter(tuple[int, str])
NUMBER: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1)])


@given(st.integers(-(2**63), 2**63), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_cursor_comes_back(number: int, text: str) -> None:
    """What is encoded is decoded, and the cursor is fit for a query as it is."""
    cursor = encode_cursor((number, text))
    assert decode_cursor(cursor, POSITION) == (number, text)
    assert cursor.isascii()
    assert cursor.replace("-", "a").replace("_", "a").isalnum()


@given(st.text(max_size=60))
def test_a_made_up_cursor_is_refused_or_canonical(cursor: str) -> None:
    """A text is a cursor only if it is what the encoder makes of its position."""
    try:
        position = decode_cursor(cursor, NUMBER)
    except BadCursor:
        return
    assert encode_cursor(position) == cursor


def request(**headers: str):
    return make_mocked_request(
        "GET", "/", {name.replace("_", "-"): v for name, v in headers.items()}
    )


@pytest.mark.parametrize("given", ["*", '"3"', '"1", "3"', '"1","3" , "2"', 'W/"1", "3"'])
def test_a_matching_version_may_be_changed(given: str) -> None:
    """Any strong tag of the list may match."""
    require_match(request(If_Match=given), etag_of(3))


@pytest.mark.parametrize("given", ['"1"', 'W/"3"', '"33"', '""', '"*"'])
def test_another_version_is_refused(given: str) -> None:
    """Another tag fails, and so does a weak one."""
    with pytest.raises(PreconditionFailed):
        require_match(request(If_Match=given), etag_of(3))


@pytest.mark.parametrize("given", ["", "3", '"3', '"3" "4"', '"3",', "*, *", '"3", *', "'3'"])
def test_a_malformed_condition_is_refused(given: str) -> None:
    """What is no list of tags is 400, and names the header."""
    with pytest.raises(MalformedBody) as raised:
        require_match(request(If_Match=given), etag_of(3))
    assert [error.field for error in raised.value.errors] == ["If-Match"]


def test_a_change_without_a_condition_is_refused() -> None:
    """428 without If-Match."""
    with pytest.raises(PreconditionRequired):
        require_match(request(), etag_of(3))


@pytest.mark.parametrize(
    ("given", "status"), [("*", 304), ('"3"', 304), ('W/"3"', 304), ('"1", "3"', 304), ('"1"', 200)]
)
def test_a_known_version_is_not_sent_again(given: str, status: int) -> None:
    """If-None-Match compares weakly; the ETag is there either way."""
    reply = with_etag(request(If_None_Match=given), Reply({"a": 1}), etag_of(3))
    assert reply.status == status
    assert reply.headers["ETag"] == '"3"'
    assert (reply.body is None) == (status == 304)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    """A burst is taken at once, then so many a second; Retry-After is when the next is there."""
    clock = Clock()
    limiter = RateLimiter(0.5, 3, clock=clock)
    for _ in range(3):
        limiter.spend("a")
    with pytest.raises(TooManyRequests) as raised:
        limiter.spend("a")
    assert raised.value.headers["Retry-After"] == "2"
    limiter.spend("b")
    clock.now = 2.0
    limiter.spend("a")
    with pytest.raises(TooManyRequests):
        limiter.spend("a")
    clock.now = 1000.0
    for _ in range(3):
        limiter.spend("a")
    with pytest.raises(TooManyRequests):
        limiter.spend("a")


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10)), max_size=60))
def test_nobody_gets_more_than_allowed(steps: list[tuple[int, float]]) -> None:
    """Over any course of requests a key gets at most its burst and its rate times the time."""
    clock, got = Clock(), dict.fromkeys(range(4), 0)
    limiter = RateLimiter(2.0, 5, clock=clock)
    for key, pause in steps:
        clock.now += pause
        try:
            limiter.spend(str(key))
        except TooManyRequests:
            continue
        got[key] += 1
        assert got[key] <= 5 + 2.0 * clock.now + 1e-6


def test_memory_is_bounded() -> None:
    """However many keys come, no more than the limit are kept, the most recent ones."""
    limiter = RateLimiter(1, 1, max_keys=100, clock=Clock())
    for number in range(1000):
        limiter.spend(str(number))
    assert len(limiter) == 100
    with pytest.raises(TooManyRequests):
        limiter.spend("999")
    limiter.spend("0")


@pytest.mark.parametrize(
    ("remote", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_clients_are_told_apart(remote: str, key: str) -> None:
    """By address; for IPv6 by the network that one client has."""
    assert client_key(make_mocked_request("GET", "/").clone(remote=remote)) == key


async def test_health_says_what_fails() -> None:
    """A check that raises has failed, one that hangs too, and the others are made all the same."""

    async def good() -> None:
        return

    async def bad() -> None:
        raise ConfigurationError("secret words")

    async def slow() -> None:
        await asyncio.sleep(60)

    health = Health({"good": good, "bad": bad, "slow": slow}, seconds=0.05)
    assert await health.results() == {"good": "ok", "bad": "failed", "slow": "failed"}
