"""The weighing cycle: empty, loading, settling, stable, ticket, unloading.

One ticket a load: after a ticket the bridge must have been empty before the next one. A ticket is
due only while the weight has been stable for the hold time, never from a moving load (OIML R 76-1,
4.4.2: what is stored lies within 1 e of the final weight).
"""

from dataclasses import dataclass
from enum import StrEnum

from steelyard.smartbox.weighing.errors import NoTicketNow
from steelyard.smartbox.weighing.reason import MOVES, NO_CELL, Reason

HAS_TICKET = Reason(
    "has-ticket", "this load has its ticket: the bridge must be empty before the next one"
)
EMPTY = Reason("empty", "the bridge is empty")
OVERLOAD = Reason("overload", "the load is above Max and 9 intervals")


class Step(StrEnum):
    """Where a weighing is."""

    EMPTY = "empty"
    LOADING = "loading"
    SETTLING = "settling"
    STABLE = "stable"
    TICKET = "ticket"
    UNLOADING = "unloading"


@dataclass(frozen=True, slots=True)
class Indication:
    """What the scale shows at a time (milliseconds): the gross in grams, smoothed, not rounded.

    `moving` is how far it went within the stability window, infinite while that is not full.
    `fault` says why nothing may be weighed, or is empty. `cells` are the cells' parts of the gross.
    """

    time: int
    gross: float
    cells: tuple[float, ...]
    stable: bool
    moving: float
    zero: bool
    overload: bool
    underload: bool
    fault: str = ""
    degraded: bool = False

    @property
    def state(self) -> str:
        """One word: fault, overload, underload, motion, zero or stable."""
        flags = (
            ("fault", bool(self.fault)),
            ("overload", self.overload),
            ("underload", self.underload),
            ("motion", not self.stable),
            ("zero", self.zero),
        )
        return next((word for word, holds in flags if holds), "stable")


@dataclass(frozen=True, slots=True)
class CycleLimits:
    """Grams and milliseconds: above `load` there is a load, below `empty` there is none.

    `rolling`: what the weight may move within the stability window once nothing rolls any more.
    """

    load: float
    empty: float
    rolling: float
    hold: int
    automatic: bool


class Cycle:
    """The state machine of one bridge. `push` every indication, in time order.

    While there is an `obstacle`, a sentence on why, no ticket is due.
    """

    def __init__(self, limits: CycleLimits) -> None:
        self._limits = limits
        self.step = Step.EMPTY
        self._stable_since: int | None = None
        self._weighed = 0.0
        self._asked = False
        self.grew = False
        self.obstacle = ""

    def push(self, seen: Indication) -> bool:
        """Take an indication; True when a ticket of it is due: then the step is TICKET."""
        if seen.fault:
            self.interrupt()
            return False
        if seen.gross < self._limits.empty:
            self._become_empty()
            return False
        match self.step:
            case Step.EMPTY:
                if seen.gross > self._limits.load:
                    self.step = Step.LOADING
            case Step.TICKET | Step.UNLOADING:
                self._watch_unloading(seen)
            case _:
                return self._settle(seen)
        return False

    def _settle(self, seen: Indication) -> bool:
        if not seen.stable:
            self._stable_since = None
            self._asked = False
            rolls = seen.moving > self._limits.rolling
            self.step = Step.LOADING if rolls else Step.SETTLING
            return False
        self.step = Step.STABLE
        if self._stable_since is None:
            self._stable_since = seen.time
        held = seen.time - self._stable_since >= self._limits.hold
        due = self._limits.automatic or self._asked
        if held and due and self.refusal(seen) is None:
            self.step = Step.TICKET
            self._weighed = seen.gross
            self._asked = False
            return True
        return False

    def ask(self, seen: Indication | None) -> None:
        """The operator wants a ticket of the load that stands there: it comes with the next
        indication, if that is stable too. Raises NoTicketNow with the reason it cannot.
        """
        reason = NO_CELL if seen is None else self.refusal(seen)
        if reason is not None:
            raise NoTicketNow(reason)
        self._asked = True

    def refusal(self, seen: Indication) -> str | None:
        """Why there can be no ticket now, in a few words; None when there can."""
        if seen.fault or self.obstacle:
            return seen.fault or self.obstacle
        if self.step in (Step.TICKET, Step.UNLOADING):
            return HAS_TICKET
        if self.step is Step.EMPTY:
            return EMPTY
        if seen.overload:
            return OVERLOAD
        if self.step is not Step.STABLE or not seen.stable:
            return MOVES
        return None

    def _watch_unloading(self, seen: Indication) -> None:
        if seen.gross > self._weighed + self._limits.load:
            self.grew = True
        if seen.gross < self._weighed - self._limits.load:
            self.step = Step.UNLOADING

    def _become_empty(self) -> None:
        self.step = Step.EMPTY
        self._stable_since = None
        self._asked = False
        self.grew = False

    def take_back(self) -> None:
        """The ticket that was due could not be issued: the load, if it is still there, has none."""
        if self.step in (Step.TICKET, Step.UNLOADING):
            self.step = Step.LOADING
            self._stable_since = None

    def interrupt(self) -> None:
        """A fault, or a break in time: a load that has its ticket keeps it, any other must settle
        anew.
        """
        self._stable_since = None
        self._asked = False
        if self.step in (Step.SETTLING, Step.STABLE):
            self.step = Step.LOADING
