"""Passwords that nobody chose."""

import pytest

from steelyard.identity.passwords import check_password
from steelyard.new_password import make_password


@pytest.mark.parametrize("login", ["ops@acme.example", "bob", "a@b.example", "-_a"])
def test_the_rules_refuse_none(login):
    """Of 5,000 with three random characters `ops`, some four would hold the log-in."""
    for _ in range(5000):
        check_password(make_password(login), login=login)


def test_no_two_are_alike():
    """At 144 bits there is no chance of it."""
    made = {make_password("bob") for _ in range(1000)}
    assert len(made) == 1000
    assert min(map(len, made)) >= 24
