"""Registering and reading tickets, in the platform's terms: stations, customers, tickets."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from steelyard.ledger.protocol import Ledger, Proof, Registration
from steelyard.ticket import Receipt, Ticket, TicketFilter
from steelyard.tickets.cursor import Place
from steelyard.tickets.directory import Directory
from steelyard.tickets.errors import ForeignWeighbridge, TicketNotFound
from steelyard.tickets.models import FoundTicket
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

    def __init__(self, directory: Directory, ledger: Ledger, search: TicketSearch) -> None:
        self._directory = directory
        self._ledger = ledger
        self._search = search

    async def register(self, station_id: str, tickets: Sequence[Ticket]) -> list[Registration]:
        """Register a station's tickets; one outcome a ticket, in order.

        A ticket of a weighbridge that was never this station's is refused, the rest goes on.
        """
        access = await self._directory.station(station_id)
        accepted = [ticket for ticket in tickets if ticket.scale_serial in access.scale_serials]
        registered = iter(await self._ledger.register(access.writer, accepted) if accepted else [])
        return [
            next(registered)
            if ticket.scale_serial in access.scale_serials
            else Registration(ticket.id, refusal=_foreign(ticket, access.station_name))
            for ticket in tickets
        ]

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
        found = await self._search.find(await self._directory.sources(customer_id), ticket_id)
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


def _foreign(ticket: Ticket, station: str) -> ForeignWeighbridge:
    return ForeignWeighbridge(f"{ticket.scale_serial} is not a weighbridge of {station}")
