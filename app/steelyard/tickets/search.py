"""One search over all of a customer's stations, in the order of time.

Every station has its own contract, whose pages come in order; they are merged here. A contract's
scan is bounded, so a page of it may be short or empty and still not be the last.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from steelyard.ledger.protocol import ContractView, Entry, Ledger
from steelyard.ticket import TicketFilter
from steelyard.tickets.cursor import Place


@dataclass(frozen=True, slots=True)
class Source:
    """A station whose tickets the user may see, as the customer's admin node sees its contract."""

    station_id: str
    station_name: str
    view: ContractView


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket of a search, with its station and its place in the order."""

    source: Source
    entry: Entry

    @property
    def place(self) -> Place:
        return Place(self.entry.ticket.timestamp, self.source.station_id, self.entry.index)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Tickets in order, and the place to go on after; None when nothing is left."""

    found: tuple[Found, ...]
    next: Place | None


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How much one request may ask of the nodes.

    `rounds` bounds how often a station is asked for more for one page: a filter on an attribute
    without an index then gives a short page in bounded time, and the next page goes on.
    """

    rounds: int = 8
    concurrency: int = 8
    contract_page: int = 200


@dataclass(slots=True)
class _Stream:
    """One station's entries as they are fetched."""

    source: Source
    cursor: int
    exhausted: bool = False
    waiting: deque[Found] = field(default_factory=deque)

    @property
    def hungry(self) -> bool:
        return not self.waiting and not self.exhausted

    @property
    def frontier(self) -> Place:
        """Everything up to here was looked at."""
        return Place.from_key(self.cursor, self.source.station_id)


class TicketSearch:
    """Searches the contracts of several stations through the ledger seam."""

    def __init__(self, ledger: Ledger, limits: SearchLimits | None = None) -> None:
        self._ledger = ledger
        self._limits = limits or SearchLimits()
        self._slots = asyncio.Semaphore(self._limits.concurrency)

    async def page(
        self,
        sources: Sequence[Source],
        ticket_filter: TicketFilter,
        *,
        after: Place | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> SearchPage:
        """The next `limit` tickets that pass the filter; fewer when the scan's bound is met first.

        Raises LedgerProblem when a station's contract cannot be asked: a page with a hole in it
        would say that tickets are missing.
        """
        streams = self._open(sources, after, newest_first=newest_first)
        found: list[Found] = []
        for _ in range(self._limits.rounds):
            await self._feed(streams, ticket_filter, limit, newest_first=newest_first)
            found += _merge(streams, limit - len(found), newest_first=newest_first)
            if len(found) == limit or not any(stream.hungry for stream in streams):
                break
        return SearchPage(tuple(found), _where_next(streams, found, limit, newest_first))

    async def all(
        self,
        sources: Sequence[Source],
        ticket_filter: TicketFilter,
        *,
        after: Place | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[Found]:
        """Every ticket that passes the filter, page by page, for exports."""
        walk = self.walk(sources, ticket_filter, after=after, newest_first=newest_first)
        async for page in walk:
            for found in page.found:
                yield found

    async def walk(
        self,
        sources: Sequence[Source],
        ticket_filter: TicketFilter,
        *,
        after: Place | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[SearchPage]:
        """Every ticket that passes the filter, in pages as they come; one may be empty.

        Unlike `page`, what one station gave and is not due yet is kept for the next one.
        """
        streams = self._open(sources, after, newest_first=newest_first)
        size = self._limits.contract_page
        going_on = True
        while going_on:
            await self._feed(streams, ticket_filter, size, newest_first=newest_first)
            waiting = sum(len(stream.waiting) for stream in streams)
            found = _merge(streams, waiting, newest_first=newest_first)
            following = _where_next(streams, found, waiting + 1, newest_first)
            going_on = following is not None
            yield SearchPage(tuple(found), following)

    async def count(self, sources: Sequence[Source], ticket_filter: TicketFilter) -> int:
        """How many tickets pass the filter at all the stations together."""

        async def count_one(source: Source) -> int:
            async with self._slots:
                return await self._ledger.count(source.view, ticket_filter)

        return sum(await asyncio.gather(*(count_one(source) for source in sources)))

    async def find(self, sources: Sequence[Source], ticket_id: str) -> Found | None:
        """The ticket with this id at whichever of the stations has it, or None."""

        async def find_one(source: Source) -> Found | None:
            async with self._slots:
                entry = await self._ledger.get(source.view, ticket_id)
            return Found(source, entry) if entry else None

        answers = await asyncio.gather(*(find_one(source) for source in sources))
        return next((answer for answer in answers if answer), None)

    def _open(
        self, sources: Sequence[Source], after: Place | None, *, newest_first: bool
    ) -> list[_Stream]:
        streams = []
        for source in sources:
            cursor: int | None = 0
            if after is not None:
                cursor = after.contract_cursor(source.station_id, newest_first=newest_first)
            streams.append(_Stream(source, cursor or 0, exhausted=cursor is None))
        return streams

    async def _feed(
        self,
        streams: Sequence[_Stream],
        ticket_filter: TicketFilter,
        limit: int,
        *,
        newest_first: bool,
    ) -> None:
        async def feed_one(stream: _Stream) -> None:
            async with self._slots:
                page = await self._ledger.page(
                    stream.source.view,
                    ticket_filter,
                    cursor=stream.cursor,
                    limit=min(limit, self._limits.contract_page),
                    newest_first=newest_first,
                )
            stream.waiting.extend(Found(stream.source, entry) for entry in page.entries)
            stream.exhausted = page.next == 0
            stream.cursor = page.next

        await asyncio.gather(*(feed_one(stream) for stream in streams if stream.hungry))


def _merge(streams: Sequence[_Stream], room: int, *, newest_first: bool) -> list[Found]:
    """Take tickets in order, as long as no stream that may hold an earlier one is empty."""
    pick = max if newest_first else min
    merged: list[Found] = []
    while len(merged) < room:
        ready = [stream for stream in streams if stream.waiting]
        if not ready:
            break
        first = pick(ready, key=lambda stream: stream.waiting[0].place)
        if _may_hide_an_earlier_one(streams, first.waiting[0].place, newest_first=newest_first):
            break
        merged.append(first.waiting.popleft())
    return merged


def _may_hide_an_earlier_one(
    streams: Sequence[_Stream], place: Place, *, newest_first: bool
) -> bool:
    """Whether a stream still to be fetched could give a ticket before `place`.

    A stream that was looked through up to a frontier beyond `place` cannot.
    """
    hungry = [stream for stream in streams if stream.hungry]
    if newest_first:
        return any(stream.cursor == 0 or stream.frontier > place for stream in hungry)
    return any(stream.frontier < place for stream in hungry)


def _where_next(
    streams: Sequence[_Stream], found: Sequence[Found], limit: int, newest_first: bool
) -> Place | None:
    if all(stream.exhausted and not stream.waiting for stream in streams):
        return None
    if len(found) == limit:
        return found[-1].place
    # The bound was met. Up to the least advanced frontier everything was looked at and, by the
    # merge, everything found before it was taken.
    frontiers = [stream.frontier for stream in streams if stream.hungry]
    return max(frontiers) if newest_first else min(frontiers)
