"""What the platform asks of a ledger, whatever the engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.errors import Problem
from steelyard.ticket import AlibiHead, Receipt, Ticket, TicketFilter


@dataclass(frozen=True, slots=True)
class NodeRef:
    """A ledger node and its privacy manager.

    `tessera_url` is the privacy manager's third-party API; `tessera_key` its public key, base64.
    """

    name: str
    rpc_url: str
    tessera_url: str
    tessera_key: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A station's account key: 32 bytes, never shown."""

    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContractView:
    """A station's contract as seen from one party's node."""

    address: str
    node: NodeRef


@dataclass(frozen=True, slots=True)
class ContractWriter:
    """What registering needs: the contract at the station's node, its key, the other parties.

    `parties` are the base64 Tessera keys of the private transaction's recipients (the customer's
    admin node); the station's own node is always one.
    """

    view: ContractView
    key: SigningKey
    parties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed station contract. `address` is checksummed (EIP-55)."""

    address: str
    transaction_hash: str
    block_number: int


@dataclass(frozen=True, slots=True)
class Registration:
    """How one ticket of a batch fared: a receipt, or the problem for which it was refused.

    `created` is false where the same ticket was on the ledger already.
    """

    ticket_id: str
    receipt: Receipt | None = None
    created: bool = False
    refusal: Problem | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A ticket as the contract holds it: `index` counts from 1 in the order of registration."""

    ticket: Ticket
    index: int
    block_number: int

    @property
    def key(self) -> int:
        """The contract's order and cursor: by time, then by registration."""
        return (self.ticket.timestamp << 64) | self.index


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the contract's order, and the cursor to go on with; 0 when nothing is left.

    A page may hold fewer entries than asked for, or none, and still have a `next`: the scan in
    the contract is bounded.
    """

    entries: tuple[Entry, ...]
    next: int


@dataclass(frozen=True, slots=True)
class Check:
    """One statement of a proof: what was checked, whether it holds, and what was seen."""

    name: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What `verify` found, in the order it looked; `unproved` is what it could not find out.

    `alibi_head` is what the transaction's payload says of the station's alibi memory.
    """

    ticket: Ticket | None
    checks: tuple[Check, ...]
    unproved: tuple[str, ...] = ()
    alibi_head: AlibiHead | None = None

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """Whether a node and its privacy manager answer, and the node's head."""

    node_up: bool
    privacy_manager_up: bool
    block_number: int | None
    detail: str = ""


class Ledger(Protocol):
    """One consortium. Every method raises a `LedgerProblem` when the engine fails it."""

    async def deploy(self, key: SigningKey, node: NodeRef, parties: Sequence[str]) -> Deployment:
        """Deploy a station contract privately to `node` and `parties`; its owner is `key`."""
        ...

    async def register(
        self,
        writer: ContractWriter,
        tickets: Sequence[Ticket],
        alibi_head: AlibiHead | None = None,
    ) -> list[Registration]:
        """Register tickets in one private transaction; one outcome a ticket, in order.

        `alibi_head` goes into every transaction that is made for them.

        A ticket that is already registered with the same content gives its first receipt; one
        with other content is refused with `TicketConflict` and the rest goes on. When this
        returns, every receipt's transaction is in a block and has succeeded at the station's
        node. A repeat after any failure never registers a ticket twice.
        """
        ...

    async def page(
        self,
        view: ContractView,
        ticket_filter: TicketFilter,
        *,
        cursor: int = 0,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page:
        """The next entries strictly after `cursor` (0: from the start) that pass the filter."""
        ...

    async def count(self, view: ContractView, ticket_filter: TicketFilter) -> int:
        """How many tickets pass the filter, the bounded scans joined."""
        ...

    async def get(self, view: ContractView, ticket_id: str) -> Entry | None:
        """The ticket with this id, or None."""
        ...

    async def receipt(self, view: ContractView, ticket_id: str) -> Receipt | None:
        """The receipt of a registered ticket, found again on the ledger, or None."""
        ...

    async def verify(
        self, view: ContractView, receipt: Receipt, ticket: Ticket | None = None
    ) -> Proof:
        """Prove a receipt at a party's node; compare with `ticket` as well when it is given."""
        ...

    async def health(self, node: NodeRef) -> NodeHealth:
        """Ask a node and its privacy manager for a sign of life; never raises for their absence."""
        ...
