"""What can go wrong at the ledger."""

from steelyard.errors import Problem


class LedgerProblem(Problem):
    """Base of everything that the ledger refuses or cannot do."""

    status = 502
    slug = "ledger"
    title = "The ledger refused the request"


class NodeUnavailable(LedgerProblem):
    """The ledger node does not answer, or answers with an error of its own."""

    status = 503
    slug = "node-unavailable"
    title = "The ledger node is not available"
    hint = "Nothing was lost; send the request again."


class PrivacyManagerUnavailable(LedgerProblem):
    """The privacy manager, one's own or a party's, does not take the payload."""

    status = 503
    slug = "privacy-manager-unavailable"
    title = "A privacy manager is not available"
    hint = "Nothing was lost; send the request again."


class PartyUnreachable(PrivacyManagerUnavailable):
    """No privacy manager that ours reaches holds a party's key: it is down, new, or misspelt."""

    slug = "party-unreachable"
    title = "A party's privacy manager cannot be reached"
    hint = "Nothing was lost; check the party's key, or send the request again when it is up."


class TransactionPending(LedgerProblem):
    """A transaction was sent and is in no block yet; sending the same tickets again is safe."""

    status = 503
    slug = "transaction-pending"
    title = "The transaction is not in a block yet"
    hint = "Send the same request again: tickets are registered once."


class LedgerBusy(LedgerProblem):
    """Too many tickets of the station wait for their transaction; none of these was taken."""

    status = 503
    slug = "ledger-busy"
    title = "Too many tickets of this station are waiting"
    hint = "Nothing was lost; send the request again after the time in Retry-After."


class TransactionFailed(LedgerProblem):
    """A transaction was mined and failed; nothing of it was registered."""

    slug = "transaction-failed"
    title = "The transaction failed"


class TicketFailed(LedgerProblem):
    """The contract fails on this ticket, alone and whenever it is tried, and gives no reason."""

    status = 422
    slug = "ticket-failed"
    title = "The contract fails on this ticket"
    hint = "Ask the platform's operator: the gas offered for one ticket may be too little."


class ContractMissing(LedgerProblem):
    """No contract answers at the address: this node is not a party to it, or it is wrong."""

    slug = "contract-missing"
    title = "No station contract at this address"


class TicketConflict(LedgerProblem):
    """Another ticket is registered under this id."""

    status = 409
    slug = "ticket-conflict"
    title = "Another ticket has this id"


class TicketInconsistent(LedgerProblem):
    """The contract refused the ticket for what it says."""

    status = 422
    slug = "ticket-inconsistent"
    title = "The ticket contradicts itself"


class NotTheStation(LedgerProblem):
    """The transaction was not signed by the station's key."""

    status = 403
    slug = "not-the-station"
    title = "Only the station's key may register"


class ExportDamaged(LedgerProblem):
    """A line of an export is not what was written, or contradicts the lines around it."""

    status = 422
    slug = "export-damaged"
    title = "The export does not hold"


class NodeContradictsItself(LedgerProblem):
    """What a node says of the ledger does not fit together; nothing is taken over from it."""

    slug = "node-contradicts-itself"
    title = "The node's answers contradict each other"
