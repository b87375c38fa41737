"""A truck weighed in two passes: the first is the tare of the second, joined by the vehicle.

The first pass is a ticket of its own, with no tare; it is remembered in the outbox, in the same
transaction, and forgotten with the second one. A truck that comes full and leaves empty has a
negative net: what it left.
"""

import re
import unicodedata
from dataclasses import replace
from typing import Any, Protocol

from steelyard.smartbox.weighing.bridge import Weighed

FIRST = "first"
SECOND = "second"


class FirstPasses(Protocol):
    """Where first passes are remembered: the outbox."""

    def first_pass(self, vehicle_key: str) -> tuple[str, int] | None:
        """The ticket and the gross in grams of a vehicle's open first pass."""
        ...


def vehicle_key(vehicle: str) -> str:
    """A vehicle's name without case, blanks, dots and dashes: `AA-00 bb` is `aa00bb`."""
    plain = unicodedata.normalize("NFKC", vehicle).casefold()
    return re.sub(r"[\s.\-]", "", plain) or plain.strip()


def join_passes(
    weighed: Weighed, passes: int, remembered: FirstPasses
) -> tuple[Weighed, dict[str, Any]]:
    """The weighing with its tare from the first pass, and what the alibi record says of it.

    Without two passes, or without a vehicle, a weighing stays as it is.
    """
    if passes == 1 or weighed.vehicle is None:
        return weighed, {}
    key = vehicle_key(weighed.vehicle)
    gross = weighed.gross
    first = remembered.first_pass(key)
    if first is None:
        alone = replace(weighed, tare=0, net=gross, tare_kind=None)
        return alone, {"pass": FIRST, "vehicle_key": key}
    ticket, tare = first
    joined = replace(weighed, tare=tare, net=gross - tare, tare_kind="first-pass")
    return joined, {"pass": SECOND, "vehicle_key": key, "first_ticket": ticket}
