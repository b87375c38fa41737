"""The firewall's rules are checked before anything is changed, and open what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.firewall import includes, problems, rendered

RULE = {"name": "peers", "protocol": "tcp", "port": 30303, "sources": ["10.0.0.1"], "comment": "x"}

WRONG = {
    "a host's name": ({"sources": ["net-1.example"]}, "source net-1.example must be an IP address"),
    "host bits set": ({"sources": ["10.0.0.1/8"]}, "source 10.0.0.1/8 must be an IP address"),
    "nobody": ({"sources": []}, "needs sources"),
    "no port": ({"port": None}, "needs port or ports"),
    "port 0": ({"port": 0}, "port 0 must be 1 to 65535"),
    "a range backwards": ({"ports": ["9-8"], "port": None}, "port 9-8 must be"),
    "nft's own words": ({"port": "22 accept"}, "port 22 accept must be"),
    "a protocol": ({"protocol": "icmp"}, "protocol must be tcp or udp"),
    "a name": ({"name": "a; drop"}, "a name has lower case letters"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name):
    """With the rule's name, in one sentence."""
    change, sentence = WRONG[name]
    found = problems([{**RULE, **change}], ["any"])
    assert len(found) == 1
    assert sentence in found[0]


def test_ssh_is_open_to_somebody():
    """An empty list would shut the operators out."""
    assert problems([RULE], []) == [
        "base_ssh_sources must name operators' addresses or networks, or any"
    ]
    assert problems([RULE], ["10.0.0.0/8", "2001:db8::/32"]) == []


def test_sources_are_told_apart_by_version():
    """Nftables has a set for each; one address is not written as a network."""
    sources = ["10.0.0.0/24", "2001:db8::1/128", "10.0.0.9", "10.0.0.9"]
    (rule,) = rendered([{**RULE, "sources": sources}])
    assert rule["addresses"] == {4: ["10.0.0.0/24", "10.0.0.9"], 6: ["2001:db8::1"]}
    assert (rule["any"], rule["ports"]) == (False, ["30303"])


def test_two_rules_of_one_name_have_sets_of_their_own():
    """A host with two nodes has the rule of peers twice."""
    sets = {one["set"] for one in rendered([RULE, {**RULE, "port": 30304}])}
    assert len(sets) == 2


@given(st.text())
def test_a_comment_never_ends_its_string(text):
    """Whatever it holds, it is printable, without quotes, and short."""
    (rule,) = rendered([{**RULE, "comment": text}])
    assert '"' not in rule["comment"]
    assert "\n" not in rule["comment"]
    assert len(rule["comment"].encode()) <= 100


@pytest.mark.parametrize(
    ("address", "sources", "expected"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8", "2001:db8::/32"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("2001:db8::5", ["any"], True),
    ],
)
def test_the_connections_source_is_looked_for(address, sources, expected):
    """So that a run does not shut itself out."""
    assert includes(address, sources) is expected
