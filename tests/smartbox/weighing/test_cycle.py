"""The weighing cycle: one ticket a load, never from a moving one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from steelyard.smartbox.weighing.cycle import Cycle, CycleLimits, Indication, Step
from steelyard.smartbox.weighing.errors import NoTicketNow

LIMITS = {"load": 400_000.0, "empty": 200_000.0, "rolling": 400_000.0, "hold": 500}


def indication(time: int, gross: float, **changes: Any) -> Indication:
    values: dict[str, Any] = {
        "cells": (gross,),
        "stable": True,
        "moving": 0.0,
        "zero": False,
        "overload": False,
        "underload": False,
    }
    return Indication(time=time, gross=gross, **(values | changes))


class CycleMachine(RuleBasedStateMachine):
    """Any load, any fault, any button, in any order."""

    automatic = True

    def __init__(self) -> None:
        super().__init__()
        self.cycle = Cycle(CycleLimits(automatic=self.automatic, **LIMITS))
        self.time = 0
        self.history: list[Indication] = []
        self.tickets_since_empty = 0
        self.asked = False

    def push(self, gross: float, **changes: Any) -> None:
        self.time += 100
        seen = indication(self.time, gross, **changes)
        self.history.append(seen)
        due = self.cycle.push(seen)
        if gross < LIMITS["empty"] and not seen.fault:
            self.tickets_since_empty = 0
            assert self.cycle.step is Step.EMPTY
        if due:
            self.tickets_since_empty += 1
            held = [one for one in self.history if self.time - one.time <= LIMITS["hold"]]
            assert all(one.stable and not one.fault for one in held), "a moving load"
            assert all(one.gross > LIMITS["empty"] for one in held), "an empty bridge"
            assert not seen.overload
            assert self.automatic or self.asked
            self.asked = False

    @rule(gross=st.floats(-500_000, 60_000_000), times=st.integers(1, 12))
    def stands(self, gross: float, times: int) -> None:
        for _ in range(times):
            self.push(gross)

    @rule(gross=st.floats(-500_000, 60_000_000), moving=st.floats(0, 5_000_000))
    def moves(self, gross: float, moving: float) -> None:
        self.push(gross, stable=False, moving=moving)

    @rule(gross=st.floats(-500_000, 60_000_000))
    def breaks(self, gross: float) -> None:
        self.push(gross, fault="cell C1 is silent")

    @rule(gross=st.floats(60_200_000, 90_000_000))
    def is_too_heavy(self, gross: float) -> None:
        self.push(gross, overload=True)

    @precondition(lambda self: self.history)
    @rule()
    def ask(self) -> None:
        seen = self.history[-1]
        if self.cycle.refusal(seen) is None:
            self.cycle.ask(seen)
            assert self.cycle.step is Step.STABLE
            assert seen.stable
            self.asked = True
        else:
            with pytest.raises(NoTicketNow):
                self.cycle.ask(seen)

    @invariant()
    def one_ticket_a_load(self) -> None:
        assert self.tickets_since_empty <= 1


class OperatorMachine(CycleMachine):
    """The same where the operator says when."""

    automatic = False


TestAutomatic = CycleMachine.TestCase
TestOperator = OperatorMachine.TestCase


def test_the_steps_come_in_order() -> None:
    """Empty, loading, settling, stable, ticket, unloading, empty."""
    cycle = Cycle(CycleLimits(automatic=True, **LIMITS))
    steps = []
    plan: list[tuple[float, dict[str, Any]]] = [(0.0, {})]
    plan += [(9e6, {"stable": False, "moving": 5e6})] * 2
    plan += [(30e6, {"stable": False, "moving": 1e5})]
    plan += [(30e6, {})] * 7
    plan += [(20e6, {"stable": False, "moving": 1e7}), (1e5, {"stable": False}), (0.0, {})]
    for number, (gross, changes) in enumerate(plan):
        cycle.push(indication(number * 100, gross, **changes))
        if not steps or steps[-1] != cycle.step:
            steps.append(cycle.step)
    assert steps == [*Step, Step.EMPTY]


def test_a_load_that_grows_after_its_ticket_is_noticed() -> None:
    """A truck was not whole on the bridge: its ticket stands, and somebody must look."""
    cycle = Cycle(CycleLimits(automatic=True, **LIMITS))
    due = [cycle.push(indication(number * 100, 9e6)) for number in range(8)]
    assert due.count(True) == 1
    assert not cycle.grew
    assert not cycle.push(indication(900, 30e6))
    assert cycle.grew
    cycle.push(indication(1000, 0.0))
    assert not cycle.grew


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ((0.0, {}), "the bridge is empty"),
        ((9e6, {"stable": False, "moving": 1e7}), "the load moves"),
        ((9e6, {"fault": "cell C1 is silent"}), "cell C1 is silent"),
        ((70e6, {"overload": True}), "above Max and 9 intervals"),
    ],
)
def test_a_button_that_cannot_work_says_why(
    given_: tuple[float, dict[str, Any]], reason: str
) -> None:
    """The display shows the reason."""
    cycle = Cycle(CycleLimits(automatic=False, **LIMITS))
    gross, changes = given_
    for number in range(3):
        seen = indication(number * 100, gross, **changes)
        cycle.push(seen)
    with pytest.raises(NoTicketNow, match=reason):
        cycle.ask(seen)
    with pytest.raises(NoTicketNow, match="no cell has spoken"):
        cycle.ask(None)


@given(st.integers(0, 20))
def test_a_fault_makes_a_load_settle_anew(at: int) -> None:
    """Whenever it came before the ticket: the hold time begins again behind it."""
    cycle = Cycle(CycleLimits(automatic=True, **LIMITS))
    tickets = []
    for number in range(40):
        fault = "x" if number == at else ""
        if cycle.push(indication(number * 100, 9e6, fault=fault)):
            tickets.append(number)
    (ticket,) = tickets
    assert ticket != at
    assert ticket < at or ticket - at > 5
