"""Registering tickets so that a repeat never registers one twice.

The contract is what refuses a known id; here we look first, send what is new, and look again
after anything unexpected. Nothing is remembered between calls.
"""

import asyncio
from collections.abc import Sequence

from steelyard.ledger import contract
from steelyard.ledger.errors import (
    NodeContradictsItself,
    NotTheStation,
    TicketConflict,
    TicketFailed,
    TicketInconsistent,
    TransactionFailed,
)
from steelyard.ledger.jsonrpc import NodeError
from steelyard.ledger.node import Mined
from steelyard.ledger.packing import unpackable
from steelyard.ledger.protocol import ContractWriter, Registration
from steelyard.ledger.reading import Reader
from steelyard.ledger.sealing import encode_sealed
from steelyard.ledger.sender import Order, Sender
from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import AlibiHead, Receipt, Ticket

_Outcomes = dict[str, Registration]


class Registrar:
    """Registers through one writer: a contract, the node, the key and the parties."""

    def __init__(
        self,
        writer: ContractWriter,
        sender: Sender,
        sender_address: str,
        reader: Reader,
        settings: LedgerSettings,
        alibi_head: AlibiHead | None = None,
    ) -> None:
        self._writer = writer
        self._sender = sender
        self._sender_address = sender_address
        self._reader = reader
        self._settings = settings
        self._alibi_head = alibi_head

    async def register(self, tickets: Sequence[Ticket]) -> list[Registration]:
        """One outcome a ticket, in order; see Ledger.register."""
        first: dict[str, Ticket] = {}
        for ticket in tickets:
            first.setdefault(ticket.id, ticket)
        refused = {one.id: refusal for one in first.values() if (refusal := _unwritable(one))}
        distinct = [one for one in first.values() if one.id not in refused]
        size = self._settings.max_batch
        batches = [distinct[at : at + size] for at in range(0, len(distinct), size)]
        # Every batch comes to its end before the first failure is told, so that none goes on
        # behind the caller's back.
        results = await asyncio.gather(*map(self._settle, batches), return_exceptions=True)
        outcomes: _Outcomes = refused
        for result in results:
            if isinstance(result, BaseException):
                raise result
            outcomes |= result
        return [
            outcomes[ticket.id] if ticket == first[ticket.id] else _conflict(ticket.id)
            for ticket in tickets
        ]

    async def _settle(self, tickets: Sequence[Ticket]) -> _Outcomes:
        outcomes, fresh = await self._look_up(tickets)
        while fresh:
            mined = await self._send(fresh)
            if mined.succeeded:
                return outcomes | self._created(fresh, mined)
            outcomes |= await self._refused(fresh)
            known, rest = await self._look_up([one for one in fresh if one.id not in outcomes])
            outcomes |= known
            if len(rest) == len(fresh):
                return outcomes | await self._halve(rest)
            fresh = rest
        return outcomes

    async def _look_up(self, tickets: Sequence[Ticket]) -> tuple[_Outcomes, list[Ticket]]:
        """What the contract knows of these ids already, and the tickets that are new to it."""
        if not tickets:
            return {}, []
        prints = await self._reader.fingerprints([ticket.id for ticket in tickets])
        fresh = [one for one, seen in zip(tickets, prints, strict=True) if seen == contract.UNKNOWN]
        outcomes: _Outcomes = {}
        same: list[str] = []
        for ticket, seen in zip(tickets, prints, strict=True):
            if seen == contract.UNKNOWN:
                continue
            if seen == contract.fingerprint(ticket):
                same.append(ticket.id)
            else:
                outcomes[ticket.id] = _conflict(ticket.id)
        receipts = await self._reader.receipts(same)
        if receipts.keys() != set(same):
            raise NodeContradictsItself(
                "The node says of a ticket that it is registered, and then that it is not"
            )
        for ticket_id, receipt in receipts.items():
            outcomes[ticket_id] = Registration(ticket_id, receipt)
        return outcomes, fresh

    async def _send(self, tickets: Sequence[Ticket]) -> Mined:
        settings = self._settings
        return await self._sender.execute(
            Order(
                key=self._writer.key,
                to=self._writer.view.address,
                payload=encode_sealed(tickets, self._alibi_head),
                gas=settings.gas_base + settings.gas_per_ticket * len(tickets),
                parties=self._writer.parties,
            )
        )

    def _created(self, tickets: Sequence[Ticket], mined: Mined) -> _Outcomes:
        # A private transaction also "succeeds" at a node that has no payload or no contract for
        # it; the contract's event is what shows that it ran here.
        events = mined.registered(self._writer.view.address)
        ours = [(len(tickets), mined.transaction_hash)]
        if [(event.count, event.transaction_hash) for event in events] != ours:
            raise TransactionFailed(
                f"The transaction {mined.transaction_hash} did not reach the contract at the "
                f"node {self._writer.view.node.name}"
            )
        return {
            ticket.id: Registration(
                ticket.id,
                Receipt(
                    ticket_id=ticket.id,
                    transaction_hash=mined.transaction_hash,
                    block_number=mined.block_number,
                ),
                created=True,
            )
            for ticket in tickets
        }

    async def _refused(self, tickets: Sequence[Ticket]) -> _Outcomes:
        """Which tickets the contract refuses for themselves, found by asking for each alone."""
        reverts = await asyncio.gather(*map(self._replay, tickets))
        refused: _Outcomes = {}
        for ticket, revert in zip(tickets, reverts, strict=True):
            if revert is None or revert.name == "TicketKnown":
                continue  # the next look says what is registered under a known id
            problem = revert.as_problem()
            if isinstance(problem, NotTheStation):
                raise problem
            refused[ticket.id] = Registration(ticket.id, refusal=problem)
        return refused

    async def _replay(self, ticket: Ticket) -> contract.Revert | None:
        data = contract.encode_registration([ticket])
        try:
            await self._reader.call(data, self._sender_address)
        except NodeError as error:
            return contract.decode_revert(error.data) if error.is_revert else None
        return None

    async def _halve(self, tickets: list[Ticket]) -> _Outcomes:
        """Every ticket passes when asked for alone, and together they failed: for want of gas.

        A ticket that still fails alone is refused for itself: a caller who repeats the batch for
        ever would never get the others registered.
        """
        if len(tickets) == 1:
            return {tickets[0].id: _failed(tickets[0].id)}
        middle = len(tickets) // 2
        left = await self._settle(tickets[:middle])
        return left | await self._settle(tickets[middle:])


def _unwritable(ticket: Ticket) -> Registration | None:
    """The refusal of a ticket that a payload cannot say whole, and would register as another."""
    reason = unpackable(ticket)
    if reason is None:
        return None
    return Registration(ticket.id, refusal=TicketInconsistent(f"{ticket.id}: {reason}"))


def _failed(ticket_id: str) -> Registration:
    problem = TicketFailed(
        f"{ticket_id}: the contract failed without a reason; the gas that is offered for one "
        "ticket (ledger.gas_base and ledger.gas_per_ticket) may be too little"
    )
    return Registration(ticket_id, refusal=problem)


def _conflict(ticket_id: str) -> Registration:
    problem = TicketConflict(f"Another ticket is registered as {ticket_id}, and stays")
    return Registration(ticket_id, refusal=problem)
