"""Cookies prove an address, and only for a while."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard.coap.cookies import COOKIE_LENGTH, CookieJar


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40))
def test_cookie_is_good_for_its_address_only(one: bytes, other: bytes, forged: bytes) -> None:
    """A cookie verifies for the address that it was made for; nothing else does."""
    jar = CookieJar(60)
    cookie = jar.make(one)
    assert len(cookie) == COOKIE_LENGTH
    assert jar.verify(one, cookie)
    assert jar.verify(other, cookie) == (one == other)
    assert not jar.verify(one, forged)
    assert not CookieJar(60).verify(one, cookie), "another jar has another secret"


def test_cookie_outlives_one_rotation_and_not_two() -> None:
    """Between one and two lifetimes a cookie ends, for whoever asks regularly."""
    clock = Clock()
    jar = CookieJar(60, clock)
    cookie = jar.make(b"a")
    clock.time += 59
    assert jar.verify(b"a", cookie)
    clock.time += 50
    assert jar.verify(b"a", cookie)
    clock.time += 60
    assert not jar.verify(b"a", cookie)


def test_cookie_does_not_outlive_a_quiet_night() -> None:
    """When nobody asked for long, an old secret does not come to life again."""
    clock = Clock()
    jar = CookieJar(60, clock)
    cookie = jar.make(b"a")
    clock.time += 10_000
    assert not jar.verify(b"a", cookie)
    assert jar.verify(b"a", jar.make(b"a"))
