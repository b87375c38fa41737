"""The demo's comparison sees every difference: a test of what tests everything else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.demo.compare import differences, expected_ticket
from steelyard.demo.plan import Plan, read_plan
from steelyard.demo.result import DemoResult, Finding

WEIGHINGS = Path(__file__).parent.parent.parent / "data" / "weighings-600.csv"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return read_plan(WEIGHINGS, {}, tmp_path_factory.mktemp("weighings"))


@pytest.fixture
def tickets(plan: Plan) -> list[dict[str, Any]]:
    """The tickets that the API must return."""
    return [
        {**expected_ticket(weighing), "blockNumber": 1}
        for station in plan.stations
        for weighing in station.weighings
    ]


def test_the_papers_experiment(plan: Plan) -> None:
    """The file is the paper's: 2 customers, 2 stations, 4 weighbridges, 16 cells, 600 weighings."""
    assert (plan.nodes, plan.cells, plan.weighings) == (5, 16, 600)
    assert [plan.expected(customer) for customer in plan.customers] == [300, 300]
    assert sum(len(station.weighbridges) for station in plan.stations) == 4


def test_equal_tickets_have_no_difference(plan: Plan, tickets: list[dict[str, Any]]) -> None:
    """Six hundred equal tickets: nothing to say, whatever their order."""
    assert differences(plan.stations, tickets[::-1]) == []


def _set(name: str, value: Any) -> Callable[[list[dict[str, Any]]], Any]:
    return lambda tickets: tickets[5].update({name: value})


def _lighter_cell(tickets: list[dict[str, Any]]) -> None:
    cells = [dict(cell) for cell in tickets[5]["cells"]]
    cells[2]["cellWeight"] -= 1
    tickets[5]["cells"] = cells


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_set("terminalSerialNumber", "X"), "terminalSerialNumber"),
        (_set("terminalRestartValue", 99), "terminalRestartValue"),
        (_set("timestamp", "2020-11-12T06:01:29.000Z"), "timestamp"),
        (_set("scaleSerialNumber", "X"), "scaleSerialNumber"),
        (_set("scaleStatus", "x"), "scaleStatus"),
        (_set("scaleGross", 1), "scaleGross"),
        (_set("scaleTare", 1), "scaleTare"),
        (_set("scaleNet", 1), "scaleNet"),
        (_set("vehicle", None), "vehicle"),
        (_set("station", "station-2"), "station"),
        (_set("extra", 1), "extra"),
        (_set("blockNumber", None), "blockNumber"),
        (_lighter_cell, "cells"),
        (lambda tickets: tickets.pop(), "is missing"),
        (lambda tickets: tickets.append(dict(tickets[0])), "came twice"),
        (_set("ticketID", "other"), "is not in the file"),
    ],
)
def test_any_difference_is_seen(
    plan: Plan,
    tickets: list[dict[str, Any]],
    change: Callable[[list[dict[str, Any]]], Any],
    sentence: str,
) -> None:
    """One field, one cell, one ticket too few, too many or twice: it is named."""
    change(tickets)
    assert any(sentence in found for found in differences(plan.stations, tickets))


@pytest.mark.parametrize(
    ("result", "holds"),
    [
        (DemoResult("sandbox"), True),
        (DemoResult("sandbox", differences=["x"]), False),
        (DemoResult("sandbox", checks=[Finding("x", "", "", True)]), True),
        (DemoResult("sandbox", attempts=[Finding("x", "", "not tried", None)]), True),
        (DemoResult("sandbox", attempts=[Finding("x", "", "", False)]), False),
        (DemoResult("sandbox", proof=[Finding("x", "", "", False)]), False),
        (DemoResult("sandbox", tampering=[Finding("x", "", "", False)]), False),
        (DemoResult("sandbox", capture=[Finding("x", "", "", False)]), False),
    ],
)
def test_one_failure_fails_the_demo(result: DemoResult, holds: bool) -> None:
    """Whatever part something fails in, the verdict is no."""
    assert result.holds is holds
