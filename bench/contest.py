"""Our client and the naive one, taking turns on the same network."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bed import Bed
from figures import Rate
from naive.station import NaiveStation
from station import Station
from usage import Usage, watched

NAIVE_AT_ONCE = 16
OURS_AT_ONCE = 64
OURS, NAIVE = "ours", "naive"
ONE_BY_ONE, NOW_AND_THEN = "one after the other", "now and then"
NAIVE_ONE = "naive, one at a time"
NAIVE_MANY = f"naive, {NAIVE_AT_ONCE} at once"
OURS_ONE = "ours, one at a time"
OURS_MANY = f"ours, one ticket a call, {OURS_AT_ONCE} calls at once"
OURS_LISTS = "ours, in batches"
_LONGEST_PAUSE = 2.0  # block periods


@dataclass(slots=True)
class Contest:
    """Two contracts of the same two nodes. `latencies` are the seconds of single tickets."""

    bed: Bed
    station: Station
    naive: NaiveStation
    latencies: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    source: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - pauses

    def warm_up(self) -> None:
        """Let virtual machines compile and connections open; nothing of it is counted."""
        self.naive.register(4 * NAIVE_AT_ONCE, NAIVE_AT_ONCE)
        tickets = self.station.traffic.tickets
        self.bed.register(self.station, tickets(128), in_list=1, at_once=OURS_AT_ONCE)
        self.bed.register(self.station, tickets(2_000), in_list=2_000, at_once=1)

    def round(self) -> None:
        """Every way once."""
        self._singly()
        extent, bed, station = self.bed.extent, self.bed, self.station
        many = extent.naive_many
        self._measured(NAIVE_MANY, many, lambda: self.naive.register(many, NAIVE_AT_ONCE))
        singles = station.traffic.tickets(extent.ours_many)
        self._measured(
            OURS_MANY,
            len(singles),
            lambda: bed.register(station, singles, in_list=1, at_once=OURS_AT_ONCE),
        )
        batch = station.traffic.tickets(extent.ours_list)
        self._measured(
            OURS_LISTS,
            len(batch),
            lambda: bed.register(station, batch, in_list=len(batch), at_once=1),
        )

    def _singly(self) -> None:
        count, longest = self.bed.extent.singly, _LONGEST_PAUSE * self.bed.result.period
        random_pauses = [self.source.uniform(0, longest) for _ in range(count)]
        for manner, pauses in ((ONE_BY_ONE, [0.0] * count), (NOW_AND_THEN, random_pauses)):
            ours = self.bed.register_singly(self.station, pauses)
            naive = self.naive.register_singly(pauses)
            self.latencies.setdefault(f"{OURS}, {manner}", []).extend(ours)
            self.latencies.setdefault(f"{NAIVE}, {manner}", []).extend(naive)
            if manner == ONE_BY_ONE:
                self._rate(OURS_ONE, count, sum(ours))
                self._rate(NAIVE_ONE, count, sum(naive))

    def _measured(self, name: str, tickets: int, work: Callable[[], float]) -> None:
        usage = self.usage.setdefault(name, Usage())
        with watched(self.bed.network, usage):
            seconds = work()
        usage.tickets += tickets
        self._rate(name, tickets, seconds)

    def _rate(self, name: str, tickets: int, seconds: float) -> None:
        self.rates.setdefault(name, Rate()).add(tickets, seconds)
        speed = f"{tickets / seconds:,.1f} a second"
        self.bed.say(f"{name}: {tickets:,} tickets in {seconds:.1f} s, {speed}")
