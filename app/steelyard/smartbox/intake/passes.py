"""A truck weighed in two passes: the first is the tare of the second, joined by the vehicle.

The first pass is a ticket of its own, with no tare; it is remembered in the outbox, in the same
transaction, and forgotten with the second one. A truck that comes full and leaves empty has a
negative net: what it left.

A first pass waits for so many hours. A truck that left another way would otherwise have the tare
of its last visit at the next, and each first and second pass in the place of the other from then
on. One whose age cannot be told is no tare either: a weight without a tare is true, a net with the
tare of another visit is not. That weighing is no first pass itself: if it was the second one in
truth, first and second would change places. Somebody has to look at such a pair, and is told.
"""

from dataclasses import replace
from typing import Any, Protocol

from steelyard.smartbox.models import FirstPass
from steelyard.smartbox.timing import TOLERANCE_MS, Stamp
from steelyard.smartbox.weighing.bridge import Weighed
from steelyard.vehicles import normalise_vehicle

FIRST = "first"
SECOND = "second"
UNDATED = "undated_first_ticket"
_HOUR = 3_600_000


class FirstPasses(Protocol):
    """Where first passes are remembered: the outbox."""

    def first_pass(self, vehicle_key: str) -> FirstPass | None:
        """A vehicle's open first pass."""
        ...


def join_passes(
    weighed: Weighed, stamp: Stamp, remembered: FirstPasses, *, hours: int
) -> tuple[Weighed, dict[str, Any]]:
    """The weighing with its tare from the first pass, and what the alibi record says of it.

    `stamp` stands behind the weighing's time. A first pass that is older than so many hours is
    none; one of which that cannot be told is none, and over. Without a vehicle a weighing stays as
    it is.
    """
    if weighed.vehicle is None:
        return weighed, {}
    key = normalise_vehicle(weighed.vehicle)
    gross = weighed.gross
    note: dict[str, Any] = {"pass": FIRST, "vehicle_key": key}
    first = remembered.first_pass(key)
    if first is not None:
        age = _age(first, weighed.time, stamp)
        if age is None:
            note |= {"pass": SECOND, UNDATED: first.ticket}
            first = None
        elif age > hours * _HOUR:
            note["lapsed_first_ticket"] = first.ticket
            first = None
    if first is None:
        return replace(weighed, tare=0, net=gross, tare_kind=None), note
    joined = replace(weighed, tare=first.gross, net=gross - first.gross, tare_kind="first-pass")
    return joined, {"pass": SECOND, "vehicle_key": key, "first_ticket": first.ticket}


def _age(first: FirstPass, time: int, stamp: Stamp) -> int | None:
    """How old a first pass is at most, in milliseconds; None where nobody can tell.

    A clock that does not know the time is behind it: it began where it once stopped. So a time
    that was stamped by such a clock is not later than the true one, and says how old at most; but
    by such a clock the time now says nothing of a pass before this boot.
    """
    if first.uptime is not None and first.boot == stamp.boot:
        return stamp.uptime - first.uptime
    if not stamp.known or time < first.time - TOLERANCE_MS:
        return None
    return time - first.time
