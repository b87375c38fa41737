"""A page's tickets by an attribute they share."""

from collections.abc import Callable, Mapping, Sequence

from steelyard.ticket import format_timestamp
from steelyard.tickets.models import FoundTicket, GroupBy, TicketGroup

Value = str | int | None

_VALUES: Mapping[GroupBy, Callable[[FoundTicket], Sequence[Value]]] = {
    GroupBy.TICKET_ID: lambda ticket: [ticket.id],
    GroupBy.TERMINAL: lambda ticket: [ticket.terminal_serial],
    GroupBy.RESTART: lambda ticket: [ticket.terminal_restart],
    GroupBy.TIMESTAMP: lambda ticket: [format_timestamp(ticket.timestamp)],
    GroupBy.DAY: lambda ticket: [format_timestamp(ticket.timestamp)[:10]],
    GroupBy.SCALE: lambda ticket: [ticket.scale_serial],
    GroupBy.STATUS: lambda ticket: [ticket.status],
    GroupBy.GROSS: lambda ticket: [ticket.gross],
    GroupBy.TARE: lambda ticket: [ticket.tare],
    GroupBy.NET: lambda ticket: [ticket.net],
    GroupBy.VEHICLE: lambda ticket: [ticket.vehicle],
    # A ticket may have one serial twice only by a station's mistake; it is in that group once.
    GroupBy.CELL: lambda ticket: list(dict.fromkeys(cell.serial for cell in ticket.cells)),
    GroupBy.CELL_WEIGHT: lambda ticket: list(dict.fromkeys(cell.weight for cell in ticket.cells)),
    GroupBy.STATION: lambda ticket: [ticket.station],
}


def group_tickets(tickets: Sequence[FoundTicket], by: GroupBy) -> tuple[TicketGroup, ...]:
    """The groups in the order in which their values first appear."""
    groups: dict[Value, list[FoundTicket]] = {}
    for ticket in tickets:
        for value in _VALUES[by](ticket):
            groups.setdefault(value, []).append(ticket)
    return tuple(
        TicketGroup(value=value, count=len(members), tickets=tuple(members))
        for value, members in groups.items()
    )
