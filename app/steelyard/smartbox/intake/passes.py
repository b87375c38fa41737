"""A truck weighed in two passes: the first is the tare of the second, joined by the vehicle.

The first pass is a ticket of its own, with no tare; it is remembered in the outbox, in the same
transaction, and forgotten with the second one. A truck that comes full and leaves empty has a
negative net: what it left.

A first pass waits for so many hours. A truck that left another way would otherwise have the tare
of its last visit at the next, and each first and second pass in the place of the other from then
on.
"""

from dataclasses import replace
from typing import Any, Protocol

from steelyard.smartbox.weighing.bridge import Weighed
from steelyard.vehicles import normalise_vehicle

FIRST = "first"
SECOND = "second"
_HOUR = 3_600_000


class FirstPasses(Protocol):
    """Where first passes are remembered: the outbox."""

    def first_pass(self, vehicle_key: str) -> tuple[str, int, int | None] | None:
        """The ticket of a vehicle's open first pass, its gross in grams, and its time.

        The time in milliseconds since the epoch; None as long as it is not known.
        """
        ...


def join_passes(
    weighed: Weighed, remembered: FirstPasses, *, hours: int
) -> tuple[Weighed, dict[str, Any]]:
    """The weighing with its tare from the first pass, and what the alibi record says of it.

    A first pass that is older than so many hours is none; one whose time is not known yet is of
    this start of the SmartBox, or of one without a network, and holds. Without a vehicle a
    weighing stays as it is.
    """
    if weighed.vehicle is None:
        return weighed, {}
    key = normalise_vehicle(weighed.vehicle)
    gross = weighed.gross
    note: dict[str, Any] = {"pass": FIRST, "vehicle_key": key}
    first = remembered.first_pass(key)
    if first is not None and _lapsed(first[2], weighed.time, hours):
        note["lapsed_first_ticket"] = first[0]
        first = None
    if first is None:
        return replace(weighed, tare=0, net=gross, tare_kind=None), note
    ticket, tare, _ = first
    joined = replace(weighed, tare=tare, net=gross - tare, tare_kind="first-pass")
    return joined, {"pass": SECOND, "vehicle_key": key, "first_ticket": ticket}


def _lapsed(then: int | None, now: int, hours: int) -> bool:
    return then is not None and now - then > hours * _HOUR
