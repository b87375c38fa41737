"""What becomes of tickets that were weighed before the SmartBox knew the time.

Their alibi records say which boot ran and since when, by a clock that nobody sets. Once the time is
known, the tickets of this boot get the right one; how long another boot's machine was off is not to
be found out, so its tickets say that their time is not sure. Either way an alibi record of its own,
behind the ticket's, holds the ticket as it goes to the ledger, and what was corrected. The id keeps
the time that was stamped first: where the two differ, the ticket's time was corrected.
"""

from dataclasses import dataclass
from typing import Any

from steelyard.smartbox.outbox.untimed import Untimed
from steelyard.ticket import MAX_TIMESTAMP_MS, format_timestamp, parse_timestamp

UNSURE = "time-unsure"
TOLERANCE_MS = 2000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What stands behind a time by the SmartBox's clock: the boot, and how long that ran, in ms.

    `known` says whether the clock knew the time.
    """

    boot: str
    uptime: int
    known: bool

    def mark(self) -> dict[str, str | int] | None:
        """What an alibi record says of the time as long as that is not known."""
        return None if self.known else {"boot": self.boot, "uptime": self.uptime}


@dataclass(frozen=True, slots=True)
class KnownTime:
    """The time now, in milliseconds since the epoch, and since the start of this boot."""

    now: int
    boot: str
    uptime: int
    source: str


def correct(untimed: Untimed, known: KnownTime) -> dict[str, Any]:
    """The body of the alibi record that gives a ticket its time.

    A difference of up to two seconds is none: that is how well a server's `Date` tells the time.
    The ticket stays as it was then, and the record says so.
    """
    stamped = parse_timestamp(untimed.ticket["timestamp"])
    correction: dict[str, Any] = {
        "of": untimed.sequence,
        "stamped": untimed.ticket["timestamp"],
        "source": known.source,
    }
    changed: dict[str, Any] = {}
    if untimed.boot != known.boot:
        changed["scaleStatus"] = UNSURE
        correction |= {"was": {"scaleStatus": untimed.ticket["scaleStatus"]}, "offset_ms": None}
    else:
        right = known.now - (known.uptime - untimed.uptime)
        offset = min(max(right, 0), MAX_TIMESTAMP_MS) - stamped
        correction["offset_ms"] = offset
        if abs(offset) > TOLERANCE_MS:
            changed["timestamp"] = format_timestamp(stamped + offset)
    correction["changes"] = sorted(changed)
    return {
        "ticket": untimed.ticket | changed,
        "samples": [],
        "correction": correction,
    }
