"""From a ticket that is registered to the events of its deviations, whatever ends in between.

Before tickets go to the ledger their ids are noted, sealed, in the database; after that they are
read from the ledger again and judged. So a check is never of a ticket that is not there, and none
is lost with a process.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from steelyard.errors import Problem
from steelyard.store.database import Database
from steelyard.store.errors import VaultTampered
from steelyard.store.identifiers import new_id, now_ms
from steelyard.store.models import RouteCheck
from steelyard.store.route_seal import open_tickets, seal_tickets
from steelyard.store.vault import Vault
from steelyard.ticket import Ticket
from steelyard.tickets.directory import Directory
from steelyard.tickets.errors import RouteTooBusy
from steelyard.tickets.events import FOUND, WITHDRAWN, Event, enqueue, make_event
from steelyard.tickets.judge import ActiveRoute, Deviation, Judges
from steelyard.tickets.known_routes import KnownRoutes
from steelyard.tickets.leases import later, lease
from steelyard.tickets.route_search import RouteSearch
from steelyard.tickets.search import Found, Source, TicketSearch
from steelyard.vehicles import normalise_vehicle

logger = get_logger(__name__)

_AT_ONCE = 10
_OF_ONE_CUSTOMER = 50
_LOOK_AFTER_MS = 1_000  # about what a registration takes


class RouteChecks:
    """The queue of tickets to check."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        directory: Directory,
        search: TicketSearch,
        route_search: RouteSearch,
        *,
        give_up_ms: int,
    ) -> None:
        self._database = database
        self._vault = vault
        self._directory = directory
        self._search = search
        self._route_search = route_search
        self._known = KnownRoutes(database, vault)
        self._give_up_ms = give_up_ms

    async def note(self, customer_id: str, tickets: Sequence[Ticket]) -> str | None:
        """Note tickets that are about to be registered; the note's id, None where none matters.

        What goes wrong here keeps no ticket from being registered: it is logged, and the deviation
        is still found when somebody asks.
        """
        try:
            watched = await self._known.watched(customer_id)
            ids = [one.id for one in tickets if _concerned(one, watched.routes)]
            if not ids:
                return None
            now = now_ms()
            row = RouteCheck(
                id=new_id(), customer_id=customer_id, created_at=now, due_at=now + _LOOK_AFTER_MS
            )
            seal_tickets(self._vault, row, ids)
            async with self._database.session() as session:
                session.add(row)
        except Problem as problem:
            logger.error("tickets not noted for the routes", reason=problem.slug)  # noqa: TRY400 - logs no traceback
            return None
        return row.id

    async def forget(self, check: str) -> None:
        """None of a note's tickets was new: there is nothing to tell."""
        try:
            async with self._database.session() as session:
                await session.execute(delete(RouteCheck).where(RouteCheck.id == check))
        except Problem as problem:
            logger.warning("note not removed", reason=problem.slug)

    async def work(self) -> int:
        """Check what is due; how many notes that were."""
        due = await lease(self._database, RouteCheck, now_ms(), _AT_ONCE)
        for customer_id in dict.fromkeys(row.customer_id for row in due):
            # All that waits of a customer at once: what was told is then always what follows from
            # the tickets that are settled, and each check adds its own to these.
            await self._try(customer_id, await self._pending(customer_id, _OF_ONE_CUSTOMER))
        return len(due)

    async def _try(self, customer_id: str, rows: Sequence[RouteCheck]) -> None:
        try:
            await self._check(customer_id, rows)
        except RouteTooBusy as problem:
            if len(rows) > 1:  # together they may span weeks
                for row in rows:
                    await self._try(customer_id, [row])
                return
            logger.warning("tickets not checked", customer=customer_id, reason=str(problem))
            await self._settle(rows, _Outcome({}, (), ()))
        except Problem as problem:
            logger.warning("tickets not checked yet", reason=problem.slug)
            everything = {row.id: await self._open(row) for row in rows}
            await self._settle(rows, _Outcome(everything, (), ()))

    async def _open(self, row: RouteCheck) -> list[str]:
        """A note's tickets; none, and a line in the audit log, if it was tampered with."""
        try:
            return open_tickets(self._vault, row)
        except VaultTampered as problem:
            await self._database.record_tampering(problem)
            return []

    async def _check(self, customer_id: str, rows: Sequence[RouteCheck]) -> None:
        ids = {row.id: await self._open(row) for row in rows}
        watched = await self._known.watched(customer_id)
        if not watched.routes:
            await self._settle(rows, _Outcome({}, (), ()))
            return
        sources = await self._directory.sources(customer_id)
        wanted = [ticket_id for each in ids.values() for ticket_id in each]
        found = [await self._find(sources, ticket_id) for ticket_id in wanted]
        new = [one for one in found if one is not None]
        there = {one.entry.ticket.id for one in new}
        missing = {row: [one for one in each if one not in there] for row, each in ids.items()}
        events = await self._events(customer_id, sources, watched.routes, new)
        await self._settle(rows, _Outcome(missing, watched.webhooks, events))

    async def _find(self, sources: Sequence[Source], ticket_id: str) -> Found | None:
        name = ticket_id.partition("_")[0]
        return await self._search.find([s for s in sources if s.station_name == name], ticket_id)

    async def _events(
        self,
        customer_id: str,
        sources: Sequence[Source],
        routes: Sequence[ActiveRoute],
        new: Sequence[Found],
    ) -> list[Event]:
        routes = [r for r in routes if any(_concerned(one.entry.ticket, [r]) for one in new)]
        if not routes:
            return []
        within = max(route.within_ms for route in routes)
        stations = {stop.station_id for route in routes for stop in route.plan.stops}
        times = [one.entry.ticket.timestamp for one in new]
        window = await self._route_search.window(
            [source for source in sources if source.station_id in stations],
            min(times) - within,
            max(times) + within,
        )
        own = {one.entry.ticket.id for one in new}
        # After the window: each ticket in it had been noted before it came to the ledger.
        later = await self._pending(customer_id)
        unsettled = {name for row in later for name in await self._open(row)} - own
        seen = [one for one in window if one.entry.ticket.id not in unsettled]
        found, gone = changes(routes, seen, own)
        now = now_ms()
        return [
            *(make_event(FOUND, one, now) for one in found),
            *(make_event(WITHDRAWN, one, now) for one in gone),
        ]

    async def _pending(self, customer_id: str, limit: int | None = None) -> Sequence[RouteCheck]:
        """A customer's notes, the oldest first."""
        statement = (
            select(RouteCheck)
            .where(RouteCheck.customer_id == customer_id)
            .order_by(RouteCheck.id)
            .limit(limit)
        )
        async with self._database.session(read_only=True) as session:
            return (await session.scalars(statement)).all()

    async def _settle(self, rows: Sequence[RouteCheck], outcome: "_Outcome") -> None:
        """Queue the events and end the notes in one transaction; nothing if somebody else did."""
        now = now_ms()
        with suppress(_SettledMeanwhile):
            async with self._database.session() as session:
                await enqueue(session, self._vault, outcome.webhooks, outcome.events, now)
                for row in rows:
                    await self._end(session, row, outcome.missing.get(row.id, []), now)

    async def _end(
        self, session: AsyncSession, row: RouteCheck, missing: Sequence[str], now: int
    ) -> None:
        """End a note, or look for its missing tickets again. Raises _SettledMeanwhile."""
        same = (RouteCheck.id == row.id, RouteCheck.attempts == row.attempts)
        old = now - row.created_at > self._give_up_ms
        change: Delete | Update = delete(RouteCheck).where(*same)
        if missing and old:
            logger.warning("tickets given up by the routes", check=row.id)
        elif missing:
            seal_tickets(self._vault, row, missing)
            again = later(now, row.attempts)
            values = {"tickets": row.tickets, "attempts": row.attempts + 1, "due_at": again}
            change = update(RouteCheck).where(*same).values(**values)
        change = change.execution_options(synchronize_session=False)
        result = cast("CursorResult[Any]", await session.execute(change))
        if result.rowcount != 1:
            raise _SettledMeanwhile


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of some notes: tickets to look for again, by note, and whom to tell what."""

    missing: Mapping[str, Sequence[str]]
    webhooks: Sequence[str]
    events: Sequence[Event]


class _SettledMeanwhile(Exception):
    """Another instance has settled a note that we were about to settle."""


def changes(
    routes: Sequence[ActiveRoute], window: Sequence[Found], new: set[str]
) -> tuple[list[Deviation], list[Deviation]]:
    """The deviations that there are since some tickets came, and those that there no longer are.

    `window` has the weighings within the routes' time before and after the new ones, in order.
    """
    before = _deviations(routes, [one for one in window if one.entry.ticket.id not in new])
    after = _deviations(routes, window)
    return (
        [one for identity, one in after.items() if identity not in before],
        [one for identity, one in before.items() if identity not in after],
    )


def _deviations(
    routes: Sequence[ActiveRoute], weighings: Sequence[Found]
) -> dict[tuple[str, ...], Deviation]:
    judges = Judges(routes)
    return {one.identity: one for found in weighings for one in judges.take(found)}


def _concerned(ticket: Ticket, routes: Sequence[ActiveRoute]) -> bool:
    if ticket.vehicle is None:
        return False
    key = normalise_vehicle(ticket.vehicle)
    return any(route.pattern.matches(key) for route in routes)
