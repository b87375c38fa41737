"""What the tickets API refuses."""

from steelyard.errors import Problem


class TicketNotFound(Problem):
    """No ticket with this id at any station of the user's customer.

    Another customer's ticket and one that never was answer the same.
    """

    status = 404
    slug = "ticket-not-found"
    title = "No such ticket"


class ForeignWeighbridge(Problem):
    """A ticket names a weighbridge that is not registered at the station that sends it."""

    status = 422
    slug = "foreign-weighbridge"
    title = "The weighbridge is not one of this station's"
    hint = "Register the weighbridge with the management API, or mend the SmartBox's configuration."


class ForeignTicketID(Problem):
    """A ticket's id does not begin with the name of the station that sends it.

    So no station can register a ticket that passes for another's: names are unique among a
    customer's stations for ever, and none has an underscore.
    """

    status = 422
    slug = "foreign-ticket-id"
    title = "The ticket's id is not this station's"
    hint = "An id is <station>_<weighbridge>_<milliseconds>; mend the SmartBox's configuration."


class RouteTooBusy(Problem):
    """What must be looked at to judge a weighing is more than one request may look at."""

    status = 422
    slug = "route-too-busy"
    title = "There are too many tickets around a weighing"
    hint = "Shorten the routes' within_seconds, or ask with flags=none."


class StationInactive(Problem):
    """The station was deleted or is not fully registered: it may not register tickets."""

    status = 403
    slug = "station-inactive"
    title = "The station may not register tickets"
