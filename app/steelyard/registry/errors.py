"""What the management API refuses for reasons of its own."""

from steelyard.errors import Problem
from steelyard.web.errors import NotFound


class NoFreeNode(Problem):
    """Every ledger node of the role that is needed belongs to somebody."""

    status = 409
    slug = "no-free-node"
    title = "No ledger node is free"
    hint = "A platform administrator registers another node at /v1/nodes."


class CustomerInUse(Problem):
    """A customer still has stations; the sentence names them."""

    status = 409
    slug = "customer-in-use"
    title = "The customer has stations"
    hint = "Delete the stations first."


class WeighbridgeInUse(Problem):
    """A weighbridge still stands on load cells; the sentence names them."""

    status = 409
    slug = "weighbridge-in-use"
    title = "The weighbridge has load cells"
    hint = "Delete the load cells first, or move them to another weighbridge."


class NodeInUse(Problem):
    """A ledger node that was given to a customer stays: contracts live on it."""

    status = 409
    slug = "node-in-use"
    title = "The node belongs to a customer"


class RegistrationInProgress(Problem):
    """Somebody registers this station right now."""

    status = 409
    slug = "registration-in-progress"
    title = "The station is being registered"
    hint = "Send the request again after the time in Retry-After."


class RegistrationFailed(Problem):
    """The ledger did not take the station's contract in time; nothing of the station was kept."""

    status = 503
    slug = "registration-failed"
    title = "The station was not registered"
    hint = "Nothing was kept; send the request again."


class StationPending(Problem):
    """The station's registration did not come to its end."""

    status = 409
    slug = "station-pending"
    title = "The station is not registered completely"
    hint = "Send its registration again, or delete it."


class LastAdministrator(Problem):
    """Without this user nobody could administer the platform."""

    status = 409
    slug = "last-administrator"
    title = "The last platform administrator stays"
    hint = "Register another platform administrator first."


class TooMany(Problem):
    """The customer has as many of these as a customer may have; the sentence says how many."""

    status = 409
    slug = "too-many"
    title = "There are too many of these"
    hint = "Delete those that are not needed any more."


class EnrolmentOff(Problem):
    """The platform has no issuing authority: its devices get their certificates otherwise."""

    status = 409
    slug = "enrolment-off"
    title = "Devices are not enrolled here"
    hint = "The operator makes an authority (how-to/enrol.md), or certifies devices by the plays."


class ClaimRefused(Problem):
    """A claim code that is wrong, used, expired or void: which of them is not said."""

    status = 403
    slug = "claim-refused"
    title = "The claim code is not accepted"
    hint = "An administrator makes a new one: POST /v1/devices/{id}/claim."


class NotEnrollable(Problem):
    """A SmartBox whose station lacks something that its configuration is made of."""

    status = 409
    slug = "not-enrollable"
    title = "The device cannot be enrolled yet"


class RenewalRefused(Problem):
    """A request by a key that no certificate of this station's devices, still good, is for."""

    status = 403
    slug = "renewal-refused"
    title = "The certificate is not renewed"
    hint = "Enrol the device again, with a new key and a new claim code."


def no_such(kind: str) -> NotFound:
    """The answer for what is not there, and for what is another customer's: one and the same."""
    return NotFound(f"There is no such {kind}.")
