"""What the ledger must do, and whether it did: one table, and one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from figures import table


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on one figure. `measured` is None when the run did not measure it."""

    name: str
    unit: str
    measured: float | None
    least: float | None = None
    most: float | None = None

    @property
    def held(self) -> bool:
        """Whether the figure was measured and keeps within its bound."""
        if self.measured is None:
            return False
        return (self.least is None or self.measured >= self.least) and (
            self.most is None or self.measured <= self.most
        )

    @property
    def sentence(self) -> str:
        """What is asked for."""
        bound = f"at least {self.least:,g}" if self.most is None else f"at most {self.most:,g}"
        return f"{self.name}: {bound} {self.unit}"


@dataclass(frozen=True, slots=True)
class Check:
    """Whether something that was measured was also right."""

    name: str
    holds: bool
    seen: str = ""


def verdict(goals: Sequence[Goal], checks: Sequence[Check]) -> str:
    """The table of goals, with the checks together as the last one."""
    rows = [[goal.sentence, _figure(goal), "yes" if goal.held else "NO"] for goal in goals]
    wrong = [check for check in checks if not check.holds]
    seen = f"{len(checks) - len(wrong)} of {len(checks)}"
    rows.append(["what was measured is right", seen, "NO" if wrong else "yes"])
    lines = [table(["goal", "measured", "held"], rows)]
    lines += [f"not right: {check.name}; {check.seen}" for check in wrong]
    return "\n".join(lines)


def all_held(goals: Sequence[Goal], checks: Sequence[Check]) -> bool:
    """Whether the program may end with 0: every goal held, and every check."""
    return all(goal.held for goal in goals) and all(check.holds for check in checks)


def _figure(goal: Goal) -> str:
    if goal.measured is None:
        return "not measured"
    return (
        f"{goal.measured:,.3g} {goal.unit}"
        if goal.measured < 100
        else f"{goal.measured:,.0f} {goal.unit}"
    )
