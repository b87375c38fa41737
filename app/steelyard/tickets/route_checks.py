"""From a ticket that is registered to the events of its deviations, whatever ends in between.

Before tickets go to the ledger their ids are noted, sealed, in the database; after that they are
read from the ledger again and judged. So a check is never of a ticket that is not there, and none
is lost with a process.
"""

from collections.abc import Sequence

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from steelyard.errors import Problem
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id, now_ms
from steelyard.store.models import RouteCheck
from steelyard.store.route_seal import open_tickets, seal_tickets
from steelyard.store.vault import Vault
from steelyard.ticket import Ticket
from steelyard.tickets.claims import claim, later
from steelyard.tickets.directory import Directory
from steelyard.tickets.errors import RouteTooBusy
from steelyard.tickets.events import FOUND, WITHDRAWN, Event, enqueue, make_event
from steelyard.tickets.judge import ActiveRoute, Deviation, Judges
from steelyard.tickets.known_routes import KnownRoutes
from steelyard.tickets.route_search import RouteSearch
from steelyard.tickets.search import Found, Source, TicketSearch
from steelyard.vehicles import normalise_vehicle

logger = get_logger(__name__)

_AT_ONCE = 10
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
        rows = await claim(self._database, RouteCheck, now_ms(), _AT_ONCE)
        for row in rows:
            try:
                await self._check(row)
            except RouteTooBusy as problem:
                logger.warning("tickets not checked", customer=row.customer_id, reason=str(problem))
                await self._settle(row, [], (), ())
            except Problem as problem:
                logger.warning("tickets not checked yet", reason=problem.slug)
                await self._settle(row, None, (), ())
        return len(rows)

    async def _check(self, row: RouteCheck) -> None:
        ids = open_tickets(self._vault, row)
        watched = await self._known.watched(row.customer_id)
        if not watched.routes:
            await self._settle(row, [], (), ())
            return
        sources = await self._directory.sources(row.customer_id)
        found = [await self._find(sources, ticket_id) for ticket_id in ids]
        new = [one for one in found if one is not None]
        missing = [name for name, one in zip(ids, found, strict=True) if one is None]
        events = await self._events(sources, watched.routes, new)
        await self._settle(row, missing, watched.webhooks, events)

    async def _find(self, sources: Sequence[Source], ticket_id: str) -> Found | None:
        name = ticket_id.partition("_")[0]
        return await self._search.find([s for s in sources if s.station_name == name], ticket_id)

    async def _events(
        self, sources: Sequence[Source], routes: Sequence[ActiveRoute], new: Sequence[Found]
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
        found, gone = changes(routes, window, {one.entry.ticket.id for one in new})
        now = now_ms()
        return [
            *(make_event(FOUND, one, now) for one in found),
            *(make_event(WITHDRAWN, one, now) for one in gone),
        ]

    async def _settle(
        self,
        row: RouteCheck,
        missing: Sequence[str] | None,
        webhooks: Sequence[str],
        events: Sequence[Event],
    ) -> None:
        """Queue the events and end the note in one transaction.

        Tickets that are `missing` are looked for again; None: all of them.
        """
        now = now_ms()
        old = now - row.created_at > self._give_up_ms
        async with self._database.session() as session:
            await enqueue(session, self._vault, webhooks, events, now)
            if missing == [] or old:
                await session.execute(delete(RouteCheck).where(RouteCheck.id == row.id))
                if missing != []:
                    logger.warning("tickets given up by the routes", check=row.id)
            else:
                await self._again(session, row, missing, now)

    async def _again(
        self, session: AsyncSession, row: RouteCheck, missing: Sequence[str] | None, now: int
    ) -> None:
        if missing is not None:
            seal_tickets(self._vault, row, missing)
        await session.execute(
            update(RouteCheck)
            .where(RouteCheck.id == row.id)
            .values(
                tickets=row.tickets,
                attempts=row.attempts + 1,
                due_at=later(now, row.attempts),
            )
            .execution_options(synchronize_session=False)
        )


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
