"""Descriptions of one host, in which hosts are left out."""

import pytest
from descriptions import example
from hypothesis import given
from hypothesis import strategies as st

from infra.consortium.checks import parse, read_consortium
from infra.consortium.errors import InvalidConsortium
from infra.consortium.single import on_one_host

SHORT = {
    "name": "small",
    "chain_id": 7,
    "customers": [
        {
            "name": "acme",
            "admin": {"name": "acme-admin", "slot": 1},
            "stations": [
                {
                    "name": "north",
                    "node": {"name": "acme-north", "slot": 2},
                    "smartbox": {"host": "box", "serial": "SB-1", "terminal_serial": "T-1"},
                }
            ],
        }
    ],
}


def test_what_is_left_out_is_on_the_one_host():
    """Nodes and platform; the SmartBox is where it is said to be."""
    spec = read_consortium(
        on_one_host(SHORT, "one"), {"one": {"ansible_host": "192.0.2.1"}, "box": {}}
    )
    assert [one.host for one in spec.network] == ["one"]
    assert spec.fault_tolerance == 0
    assert spec.platform.host == "one"
    (customer,) = spec.customers
    assert customer.admin is not None
    assert customer.admin.host == "one"
    assert customer.stations[0].node.host == "one"
    assert customer.stations[0].smartbox is not None
    assert customer.stations[0].smartbox.host == "box"


def test_two_nodes_without_slots_are_refused_by_name():
    """Slots are not guessed: ports would move with the order of a list."""
    short = {**SHORT, "customers": [{"name": "acme", "admin": {"name": "acme-admin"}}]}
    with pytest.raises(InvalidConsortium, match="network are both in slot 0 of one"):
        read_consortium(on_one_host(short, "one"), {"one": {}})


def test_what_is_named_stays():
    """A description that names every host is given back as it is."""
    described = {**example(), "fault_tolerance": 1}
    assert parse(on_one_host(described, "elsewhere")) == parse(described)


@given(
    st.recursive(st.none() | st.text() | st.integers(), st.lists)
    | st.dictionaries(
        st.sampled_from(["customers", "network", "platform", "name"]),
        st.none() | st.text() | st.lists(st.none() | st.dictionaries(st.text(), st.text())),
    )
)
def test_what_is_no_description_is_left_for_the_check_to_say(document):
    """Whatever it is."""
    with pytest.raises(InvalidConsortium):
        parse(on_one_host(document, "one"))
