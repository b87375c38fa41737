"""Registering and reading tickets, in the platform's terms: stations, customers, tickets."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from steelyard.errors import Problem
from steelyard.ledger.gathering import Gatherer
from steelyard.ledger.protocol import Ledger, Proof, Registration
from steelyard.ticket import AlibiHead, Receipt, Ticket, TicketFilter
from steelyard.tickets.cursor import Place
from steelyard.tickets.directory import Directory, StationAccess
from steelyard.tickets.errors import ForeignTicketID, ForeignWeighbridge, TicketNotFound
from steelyard.tickets.models import FoundTicket
from steelyard.tickets.route_checks import RouteChecks
from steelyard.tickets.search import Found, TicketSearch


@dataclass(frozen=True, slots=True)
class TicketProofFound:
    """A ticket's receipt and proof, as the customer's admin node gives them."""

    ticket: Ticket
    receipt: Receipt
    contract_address: str
    proof: Proof


class TicketService:
    """What the views call. Its problems are those of the tickets and ledger rooms."""

    def __init__(
        self,
        directory: Directory,
        ledger: Ledger,
        gatherer: Gatherer,
        search: TicketSearch,
        checks: RouteChecks,
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._gatherer = gatherer
        self._search = search
        self._checks = checks

    async def register(
        self, station_id: str, tickets: Sequence[Ticket], alibi_head: AlibiHead | None = None
    ) -> list[Registration]:
        """Register a station's tickets; one outcome a ticket, in order.

        A ticket whose id or weighbridge is not this station's is refused, the rest goes on.
        """
        access = await self._directory.station(station_id)
        refusals = [_refusal(ticket, access) for ticket in tickets]
        accepted = [
            ticket for ticket, refusal in zip(tickets, refusals, strict=True) if refusal is None
        ]
        registered = iter(await self._register(access, accepted, alibi_head) if accepted else [])
        return [
            Registration(ticket.id, refusal=refusal) if refusal else next(registered)
            for ticket, refusal in zip(tickets, refusals, strict=True)
        ]

    async def _register(
        self, access: StationAccess, tickets: Sequence[Ticket], alibi_head: AlibiHead | None
    ) -> list[Registration]:
        note = await self._checks.note(access.customer_id, tickets) if access.watched else None
        outcomes = await self._gatherer.register(access.writer, tickets, alibi_head)
        if note is not None and not any(outcome.created for outcome in outcomes):
            await self._checks.forget(note)
        return outcomes

    async def page(
        self,
        customer_id: str,
        station: str | None,
        ticket_filter: TicketFilter,
        *,
        after: Place | None,
        limit: int,
        newest_first: bool,
    ) -> tuple[list[FoundTicket], Place | None]:
        """A page of the customer's tickets, and the place to go on after."""
        sources = await self._directory.sources(customer_id, station)
        page = await self._search.page(
            sources, ticket_filter, after=after, limit=limit, newest_first=newest_first
        )
        return [found_ticket(found) for found in page.found], page.next

    async def all(
        self,
        customer_id: str,
        station: str | None,
        ticket_filter: TicketFilter,
        *,
        newest_first: bool,
    ) -> AsyncIterator[FoundTicket]:
        """Every ticket of the customer that passes the filter."""
        sources = await self._directory.sources(customer_id, station)
        async for found in self._search.all(sources, ticket_filter, newest_first=newest_first):
            yield found_ticket(found)

    async def count(self, customer_id: str, station: str | None, wanted: TicketFilter) -> int:
        """How many of the customer's tickets pass the filter."""
        return await self._search.count(await self._directory.sources(customer_id, station), wanted)

    async def get(self, customer_id: str, ticket_id: str) -> FoundTicket:
        """One of the customer's tickets. Raises TicketNotFound."""
        return found_ticket(await self._find(customer_id, ticket_id))

    async def proof(self, customer_id: str, ticket_id: str) -> TicketProofFound:
        """What proves one of the customer's tickets. Raises TicketNotFound."""
        found = await self._find(customer_id, ticket_id)
        view, ticket = found.source.view, found.entry.ticket
        receipt = await self._ledger.receipt(view, ticket_id)
        if receipt is None:
            raise TicketNotFound
        proof = await self._ledger.verify(view, receipt, ticket)
        return TicketProofFound(ticket, receipt, view.address, proof)

    async def _find(self, customer_id: str, ticket_id: str) -> Found:
        station = _station_of(ticket_id)
        sources = await self._directory.sources(customer_id, station)
        found = await self._search.find(sources, ticket_id)
        if found is None:
            raise TicketNotFound
        return found


def found_ticket(found: Found) -> FoundTicket:
    """A search's result in the form in which it is sent; the ticket was validated when read."""
    return FoundTicket.model_construct(
        **dict(found.entry.ticket),
        station=found.source.station_name,
        block_number=found.entry.block_number,
    )


def _refusal(ticket: Ticket, access: StationAccess) -> Problem | None:
    """Why a station may not register this ticket, or None."""
    if _station_of(ticket.id) != access.station_name:
        return ForeignTicketID(f"{ticket.id} must begin with {access.station_name}_")
    if ticket.scale_serial not in access.scale_serials:
        return ForeignWeighbridge(
            f"{ticket.scale_serial} is not a weighbridge of {access.station_name}"
        )
    return None


def _station_of(ticket_id: str) -> str:
    """The station's name in a ticket's id: what stands before the first underscore."""
    return ticket_id.partition("_")[0]
