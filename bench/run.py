"""The measurements, one after the other, on one network."""

import asyncio
import time

from bed import Bed
from contest import OURS_AT_ONCE, Contest
from disk import Growth, Sizes, settled
from figures import Rate, Spread
from naive.station import NaiveStation
from options import WEEK
from queries import measured, scanned
from station import Station, opened
from usage import Usage, watched

SINGLY, IN_BATCHES = "one ticket a call", "in batches"
_WEEK_LIST = 100  # tickets of a request of a SmartBox
_WEEK_AT_ONCE = 16  # requests that it has under way


def everything(bed: Bed) -> None:
    """All of it; what restarts the network comes last."""
    contest(bed)
    week(bed)
    scans(bed)
    sizes(bed)


def contest(bed: Bed) -> None:
    """Latencies and rates, ours and the naive client's, in turns."""
    match = Contest(bed, bed.deployed(), bed.deployed_naively())
    bed.result.rates, bed.result.usage = match.rates, match.usage
    match.warm_up()
    first, started = bed.head(), time.monotonic()
    for number in range(bed.extent.rounds):
        bed.say(f"round {number + 1} of {bed.extent.rounds}")
        match.round()
    bed.result.measured_period = (time.monotonic() - started) / (bed.head() - first)
    bed.result.latencies = {way: Spread.of(found) for way, found in match.latencies.items()}
    bed.examine("the contest's contract", match.station)
    _examine_naive(bed, "the naive contract", match.naive)


def week(bed: Bed) -> None:
    """A station that was offline for a week hands over its tickets as a SmartBox does."""
    station = bed.deployed()
    tickets = station.traffic.tickets(WEEK)
    seconds = bed.register(station, tickets, in_list=_WEEK_LIST, at_once=_WEEK_AT_ONCE)
    bed.result.week = seconds
    bed.say(f"a week of {WEEK:,} tickets caught up in {seconds:.1f} s")
    bed.examine("the week's contract", station)


def scans(bed: Bed) -> None:
    """The naive contract's queries, up to a size at which none is answered."""
    naive = bed.deployed_naively()
    for size in bed.extent.naive_sizes:
        bed.say(f"the naive contract is filled to {size:,} tickets and queried")
        naive.fill(size)
        _examine_naive(bed, f"the naive contract at {size:,}", naive)
        contract = naive.client.seen_from(bed.customer)
        answers = scanned(contract, naive.book, bed.extent.repetitions)
        bed.result.scans[size] = answers
        for name, one in answers.items():
            bed.note(f"the naive contract at {size:,}: {name}", one.right, "other tickets")
        if all(one.failure for one in answers.values()):
            break


def _examine_naive(bed: Bed, name: str, naive: NaiveStation) -> None:
    totals, given = naive.caught_up(bed.station, bed.customer), len(naive.book)
    seen = f"{totals} of {given} at the station and the customer"
    bed.note(f"{name}: total", totals == [given, given], seen)


def sizes(bed: Bed) -> None:
    """Queries at each size, and what tickets leave on the disks."""
    station, singly = bed.deployed(), bed.deployed()
    first, *rest = bed.extent.sizes
    _grow(bed, station, first)
    before = _settled(bed)
    tickets = singly.traffic.tickets(bed.extent.singles_on_disk)
    bed.register(singly, tickets, in_list=1, at_once=OURS_AT_ONCE)
    between = _settled(bed)
    bed.result.disk[SINGLY] = _growth(len(tickets), before, between)
    bed.examine("the contract of single tickets", singly)
    for size in rest:
        _grow(bed, station, size)
    if rest:
        after = _settled(bed)
        bed.result.disk[IN_BATCHES] = _growth(rest[-1] - first, between, after)


def _settled(bed: Bed) -> tuple[int, Sizes]:
    bed.say("down, compacted and up again, to see what is on the disks")
    return bed.head(), settled(bed.network)


def _growth(tickets: int, before: tuple[int, Sizes], after: tuple[int, Sizes]) -> Growth:
    return Growth(tickets, after[0] - before[0], before[1], after[1])


def _grow(bed: Bed, station: Station, size: int) -> None:
    usage = bed.result.usage.setdefault(f"growth to {size:,}", Usage())
    rate = bed.result.growth.setdefault(size, Rate())
    while missing := size - len(station.book):
        tickets = station.traffic.tickets(min(missing, bed.extent.ours_list))
        with watched(bed.network, usage):
            seconds = bed.register(station, tickets, in_list=len(tickets), at_once=1)
        usage.tickets += len(tickets)
        rate.add(len(tickets), seconds)
    bed.say(f"{size:,} tickets: {rate.per_second:,.0f} a second")
    bed.examine(f"the contract of {size:,}", station)
    _query(bed, station)


def _query(bed: Bed, station: Station) -> None:
    async def ask() -> None:
        async with opened(bed.settings) as ledger:
            answers = await measured(ledger, station, bed.extent.repetitions)
            bed.result.queries[len(station.book)] = answers

    asyncio.run(ask())
    for name, one in bed.result.queries[len(station.book)].items():
        bed.note(f"{name} at {len(station.book):,}", one.right, "other tickets")
