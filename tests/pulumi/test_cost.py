"""The page of cost counts what the stacks really make, with the bytes that the bench measured."""

from pathlib import Path

import pytest
from stacks import customer, stack

from infra.stack.cost import MONITORING_SIZE, PARTY_BYTES, SCALES, Scale
from infra.stack.layout import lay_out
from infra.stack.models import StackConfig
from infra.stack.sizes import SIZES

ROOT = Path(__file__).parents[2]


def test_the_bytes_are_the_measured_ones():
    """Of the bench's table, in batches."""
    text = (ROOT / "bench/README.md").read_text("utf-8")
    (row,) = [one for one in text.splitlines() if one.startswith("| in batches ")]
    cells = [one.strip() for one in row.split("|")]
    assert f"{PARTY_BYTES:,}" in cells
    assert cells[-4:-1] == ["51", "102", "0"]


@pytest.mark.parametrize("scale", SCALES[:2], ids=str)
def test_a_stack_of_that_scale_has_those_machines(scale):
    """The layout's, with the gate that target aws adds."""
    document = stack(
        0, target="aws", sizes={"customer": scale.customer_size, "platform": scale.platform}
    )
    document["consortium"]["customers"] = [
        customer(number, scale.stations_each) for number in range(1, scale.customers + 1)
    ]
    machines = lay_out(StackConfig.model_validate(document)).machines
    counted = dict.fromkeys(SIZES, 0)
    for one in machines:
        counted[one.size] += 1
    counted["small"] += 1
    assert counted == scale.machines


def test_more_stations_cost_more():
    """Machines, storage and money."""
    costs = [one.monthly_dollars for one in SCALES]
    assert costs == sorted(costs)
    assert Scale(2, 4, "medium").gib_a_year > SCALES[0].gib_a_year * 1.9


def test_a_monitoring_machine_costs_what_its_size_does():
    """Less than any other machine's stack, and of the size that a stack takes."""
    document = stack(2, target="aws", monitoring=True)
    plan = lay_out(StackConfig.model_validate(document)).machines[-1]
    assert plan.size == MONITORING_SIZE
    costs = {one.monitoring_dollars for one in SCALES}
    assert len(costs) == 1
    assert 0 < costs.pop() < SCALES[0].monthly_dollars / 10
