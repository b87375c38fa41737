"""Queries on a real node, ours and the naive contract's, and whether they found what they must."""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from book import PAGE, Book
from figures import Spread
from naive.client import word
from station import Station
from steelyard.ledger.protocol import Entry, Page
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ticket import Ticket, TicketFilter
from traffic import MONTH

MONTH_PAGE = "page of 100: month"
NEWEST_PAGE = "page of 100: weighbridge, newest first"
MONTH_COUNT = "count: month"
GET = "get by id"
VEHICLE_PAGE = "page by vehicle (unindexed, one call)"
_EVER = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Answered:
    """A query at a size of the station: its seconds, and whether every answer was right."""

    spread: Spread
    right: bool


async def measured(ledger: QuorumLedger, station: Station, repetitions: int) -> dict[str, Answered]:
    """Every query, so often, each time another one of its kind, one after the other."""
    pick = random.Random(len(station.book))  # noqa: S311 - which queries are asked
    asked = _Asked(ledger, station, pick)
    kinds: dict[str, Callable[[], Awaitable[tuple[float, bool]]]] = {
        MONTH_PAGE: asked.month_page,
        NEWEST_PAGE: asked.newest_page,
        MONTH_COUNT: asked.month_count,
        GET: asked.one,
        VEHICLE_PAGE: asked.vehicle_page,
    }
    found = {}
    for name, ask in kinds.items():
        answers = [await ask() for _ in range(repetitions)]
        found[name] = Answered(
            Spread.of([seconds for seconds, _ in answers]), all(right for _, right in answers)
        )
    return found


class _Asked:
    """One query of each kind: the seconds, and whether it found what was registered."""

    def __init__(self, ledger: QuorumLedger, station: Station, pick: random.Random) -> None:
        self._ledger = ledger
        self._view = station.customer
        self._book = station.book
        self._pick = pick

    async def month_page(self) -> tuple[float, bool]:
        run = self._pick.choice(self._book.runs)
        seconds, page = await self._page(month_from(run[0]))
        return seconds, tickets_of(page) == run

    async def newest_page(self) -> tuple[float, bool]:
        scale = self._pick.choice(self._book.last).scale_serial
        wanted = TicketFilter(scale_serial=scale)
        seconds, page = await self._page(wanted, newest_first=True)
        return seconds, tickets_of(page) == self._book.newest_of(scale, PAGE)

    async def month_count(self) -> tuple[float, bool]:
        wanted = month_from(self._pick.choice(self._book.runs)[0])
        started = time.perf_counter()
        found = await self._ledger.count(self._view, wanted)
        seconds = time.perf_counter() - started
        start = wanted.timestamp_from or 0
        return seconds, found == self._book.count(start, start + MONTH)

    async def one(self) -> tuple[float, bool]:
        ticket = self._pick.choice(self._pick.choice(self._book.runs))
        started = time.perf_counter()
        entry: Entry | None = await self._ledger.get(self._view, ticket.id)
        seconds = time.perf_counter() - started
        return seconds, entry is not None and entry.ticket == ticket

    async def vehicle_page(self) -> tuple[float, bool]:
        vehicle = self._pick.choice(self._pick.choice(self._book.runs)).vehicle
        seconds, page = await self._page(TicketFilter(vehicle=vehicle))
        times = [ticket.timestamp for ticket in tickets_of(page)]
        # The scan is bounded, so the page may be short, and is the whole when nothing is left.
        expected = self._book.times_of(vehicle, PAGE if page.next == 0 else len(times))
        return seconds, times == expected

    async def _page(
        self, wanted: TicketFilter, *, newest_first: bool = False
    ) -> tuple[float, Page]:
        started = time.perf_counter()
        page = await self._ledger.page(self._view, wanted, limit=PAGE, newest_first=newest_first)
        return time.perf_counter() - started, page


def month_from(ticket: Ticket) -> TicketFilter:
    """The month that begins with a ticket."""
    return TicketFilter(timestamp_from=ticket.timestamp, timestamp_to=ticket.timestamp + MONTH)


def tickets_of(page: Page) -> list[Ticket]:
    """The tickets of a page, in its order."""
    return [entry.ticket for entry in page.entries]


async def runs_are_there(ledger: QuorumLedger, station: Station) -> bool:
    """Whether the customer's pages are the runs that were kept, ticket by ticket."""
    for run in station.book.runs:
        page = await ledger.page(station.customer, month_from(run[0]), limit=PAGE)
        if tickets_of(page) != run:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Scanned:
    """A query of the naive contract: its seconds, or why there is no answer."""

    spread: Spread | None
    right: bool
    failure: str = ""


def scanned(contract: Any, book: Book, repetitions: int) -> dict[str, Scanned]:
    """The naive contract's month page from the middle, and its weighbridge's newest page.

    It has no order of its own from the newest on: the caller is taken to know how many there are.
    """
    middle = book.runs[len(book.runs) // 2]
    newest = book.newest_of(book.last[-1].scale_serial, PAGE)[::-1]
    start, scale = middle[0].timestamp, word(newest[0].scale_serial)
    before = book.of_scale[newest[0].scale_serial] - len(newest)
    month = (start, start + MONTH, word(None), 0, PAGE)
    return {
        MONTH_PAGE: _scan(contract, month, middle, repetitions),
        NEWEST_PAGE: _scan(contract, (0, _EVER, scale, before, PAGE), newest, repetitions),
    }


def _scan(
    contract: Any, arguments: Sequence[Any], expected: list[Ticket], repetitions: int
) -> Scanned:
    seconds, right = [], True
    for _ in range(repetitions):
        started = time.perf_counter()
        try:
            found = contract.functions.query(*arguments).call()
        except Exception as error:  # noqa: BLE001 - whatever web3.py makes of it is the figure
            return Scanned(None, right, f"{type(error).__name__}: {error}"[:200])
        seconds.append(time.perf_counter() - started)
        right = right and [one[0] for one in found] == [ticket.id for ticket in expected]
    return Scanned(Spread.of(seconds), right)
