"""The verdict: a goal that was missed, or not measured, never passes."""

import pytest

from bed import Result
from contest import NAIVE_MANY, NAIVE_ONE, NOW_AND_THEN, ONE_BY_ONE, OURS_LISTS
from figures import Rate, Spread
from goals import Check, Goal, all_held, verdict
from queries import MONTH_PAGE, Answered
from report import goals


@pytest.mark.parametrize(
    ("goal", "held"),
    [
        (Goal("rate", "tickets/s", 1_500, least=1_500), True),
        (Goal("rate", "tickets/s", 1_499.9, least=1_500), False),
        (Goal("page", "ms", 30, most=30), True),
        (Goal("page", "ms", 30.1, most=30), False),
        (Goal("page", "ms", None, most=30), False),
    ],
)
def test_a_goal_holds_within_its_bound(goal: Goal, held: bool) -> None:
    assert goal.held is held
    assert all_held([goal], []) is held


def test_what_is_not_right_is_named_and_spoils_the_run() -> None:
    goal = Goal("rate", "tickets/s", 2_000, least=1_500)
    checks = [Check("count", True, ""), Check("pages", False, "a page differs")]
    text = verdict([goal], checks)
    assert "| rate: at least 1,500 tickets/s |" in text
    assert "1 of 2" in text
    assert "not right: pages; a page differs" in text
    assert not all_held([goal], checks)


def test_a_run_that_broke_off_holds_no_goal() -> None:
    assert not any(goal.held for goal in goals(Result(period=1), (1_000,)))


def test_the_goals_are_read_from_their_figures() -> None:
    """Each goal holds at its bound and falls with its own figure alone."""

    def result() -> Result:
        found = Result(period=2, week=15)
        found.rates = {
            NAIVE_ONE: Rate([(50, 1)]),
            NAIVE_MANY: Rate([(50, 1)]),
            OURS_LISTS: Rate([(3_000, 2)]),
        }
        spread = Spread.of([2.2])
        found.latencies = {f"ours, {manner}": spread for manner in (ONE_BY_ONE, NOW_AND_THEN)}
        found.queries = {1_000: {MONTH_PAGE: Answered(Spread.of([0.03]), right=True)}}
        return found

    def missed(found: Result) -> int:
        return sum(not goal.held for goal in goals(found, (1_000,)))

    assert missed(result()) == 0
    slow, late, long = result(), result(), result()
    slow.rates[NAIVE_MANY] = Rate([(51, 1)])
    late.latencies[f"ours, {ONE_BY_ONE}"] = Spread.of([2.21])
    long.week = 15.1
    assert [missed(one) for one in (slow, late, long)] == [1, 1, 1]
    page = result()
    page.queries = {1_000: {MONTH_PAGE: Answered(Spread.of([0.031]), right=True)}}
    assert missed(page) == 1
