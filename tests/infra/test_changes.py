"""Stations that leave a description, and names that it does not have."""

import pytest
from descriptions import example

from infra.consortium.changes import leaving, named, without_station
from infra.consortium.checks import parse
from infra.consortium.errors import InvalidConsortium


def test_the_description_without_a_station_lacks_that_alone():
    """Its customer and everyone else stay as they were."""
    spec = parse(example())
    names = [one.name for customer in spec.customers for one in customer.stations]
    left = without_station(spec, names[0])
    assert [one.name for customer in left.customers for one in customer.stations] == names[1:]
    assert [one.name for one in left.customers] == [one.name for one in spec.customers]
    assert left.network == spec.network
    # It is a description like any other.
    assert parse(left.model_dump(mode="json")) == left


def test_what_leaves_is_named_with_its_hosts_and_certificates():
    """All of its cells and its SmartBox, and the host of its node."""
    spec = parse(example())
    station = spec.customers[0].stations[0]
    told = leaving(spec, station.name)
    assert told["node"] == station.node.name
    assert told["node_host"] == station.node.host
    assert told["customer"] == spec.customers[0].name
    cells = [cell.serial for bridge in station.weighbridges for cell in bridge.cells]
    assert [one["name"] for one in told["certificates"] if one["kind"] == "loadcell"] == cells
    boxes = [one["name"] for one in told["certificates"] if one["kind"] == "smartbox"]
    assert boxes == [station.smartbox.serial]
    assert told["smartbox_host"] == station.smartbox.host


@pytest.mark.parametrize("kind", ["customer", "station"])
@pytest.mark.parametrize("name", ["nobody", ""])
def test_a_name_that_is_not_described_is_refused_with_what_there_is(kind, name):
    """One sentence, which has the names that would do."""
    spec = parse(example())
    with pytest.raises(InvalidConsortium) as refused:
        named(spec, kind, name)
    (problem,) = refused.value.problems
    assert f"no {kind} {name or '(none given)'} " in problem
    known = (
        [one.name for one in spec.customers]
        if kind == "customer"
        else [one.name for customer in spec.customers for one in customer.stations]
    )
    assert ", ".join(known) in problem
    assert named(spec, kind, known[0]) == known[0]


@pytest.mark.parametrize("act", [without_station, leaving])
def test_a_station_that_is_not_there_cannot_leave(act):
    """It is said by name."""
    with pytest.raises(InvalidConsortium, match="no station nowhere"):
        act(parse(example()), "nowhere")
