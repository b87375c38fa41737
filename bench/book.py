"""What a station was given, as far as it is needed to say what a query must find.

A million tickets do not fit into memory as objects: of each there are its time, its weighbridge
and its vehicle, and in full only some runs of them and the last ones.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Sequence

from steelyard.ticket import Ticket

PAGE = 100  # tickets of a page that is asked for, and of a run that is kept
_LAST = 1000
_RUNS_EACH_TIME = 2


class Book:
    """Tickets in the order of time, as `Traffic` makes them, whatever order they were mined in."""

    def __init__(self) -> None:
        self.timestamps = array("Q")
        self.runs: list[list[Ticket]] = []
        self.last: deque[Ticket] = deque(maxlen=_LAST)
        self.of_scale: Counter[str] = Counter()
        self._vehicles = array("H")
        self._numbers: dict[str | None, int] = {}

    def __len__(self) -> int:
        """How many tickets were given."""
        return len(self.timestamps)

    def add(self, tickets: Sequence[Ticket]) -> None:
        """Take down tickets that are younger than all before."""
        for ticket in tickets:
            self.timestamps.append(ticket.timestamp)
            self.of_scale[ticket.scale_serial] += 1
            number = self._numbers.setdefault(ticket.vehicle, len(self._numbers))
            self._vehicles.append(number)
        step = max(PAGE, len(tickets) // _RUNS_EACH_TIME)
        starts = range(0, len(tickets) - PAGE + 1, step)
        self.runs += [list(tickets[start : start + PAGE]) for start in starts]
        self.last.extend(tickets)

    def count(self, timestamp_from: int, timestamp_to: int) -> int:
        """How many there are in a time, both ends included, in milliseconds."""
        return bisect_right(self.timestamps, timestamp_to) - bisect_left(
            self.timestamps, timestamp_from
        )

    def newest_of(self, scale_serial: str, most: int) -> list[Ticket]:
        """The last of a weighbridge, the newest first; of the last thousand of all."""
        found = [one for one in reversed(self.last) if one.scale_serial == scale_serial]
        return found[:most]

    def times_of(self, vehicle: str | None, most: int) -> list[int]:
        """When a vehicle was weighed the first times, in milliseconds."""
        number = self._numbers.get(vehicle)
        places = (at for at, one in enumerate(self._vehicles) if one == number)
        return [self.timestamps[at] for at, _ in zip(places, range(most), strict=False)]
