"""A ledger in memory, with the contract's order, cursors and bounded scans."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.errors import Problem
from steelyard.ledger.errors import TicketConflict
from steelyard.ledger.protocol import (
    Check,
    ContractView,
    ContractWriter,
    Deployment,
    Entry,
    NodeHealth,
    NodeRef,
    Page,
    Proof,
    Registration,
    SigningKey,
)
from steelyard.ticket import AlibiHead, Receipt, Ticket, TicketFilter


@dataclass
class FakeContract:
    """What one station's contract holds, and at which nodes (by Tessera key) it can be seen."""

    parties: set[str]
    entries: list[Entry] = field(default_factory=list)


@dataclass
class FakeLedger:
    """Implements `Ledger`. `scan` bounds a page; `failures` are raised once each, in order."""

    scan: int = 1000
    contracts: dict[str, FakeContract] = field(default_factory=dict)
    failures: list[Problem] = field(default_factory=list)
    alibi_heads: list[AlibiHead | None] = field(default_factory=list)
    block: int = 1

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _seen(self, view: ContractView) -> list[Entry]:
        contract = self.contracts.get(view.address)
        if contract is None or view.node.tessera_key not in contract.parties:
            return []
        return contract.entries

    async def deploy(self, key: SigningKey, node: NodeRef, parties: Sequence[str]) -> Deployment:
        self._fail()
        address = "0x" + hashlib.sha256(key.secret).hexdigest()[:40]
        self.contracts[address] = FakeContract({node.tessera_key, *parties})
        self.block += 1
        return Deployment(address, self._hash(self.block), self.block)

    @staticmethod
    def _hash(block: int) -> str:
        return "0x" + hashlib.sha256(str(block).encode()).hexdigest()

    async def register(
        self,
        writer: ContractWriter,
        tickets: Sequence[Ticket],
        alibi_head: AlibiHead | None = None,
    ) -> list[Registration]:
        self._fail()
        self.alibi_heads.append(alibi_head)
        entries = self._seen(writer.view)
        self.block += 1
        outcomes = []
        for ticket in tickets:
            known = next((e for e in entries if e.ticket.id == ticket.id), None)
            if known is None:
                known = Entry(ticket, len(entries) + 1, self.block)
                entries.append(known)
                outcomes.append(Registration(ticket.id, self._receipt(known), created=True))
            elif known.ticket == ticket:
                outcomes.append(Registration(ticket.id, self._receipt(known)))
            else:
                outcomes.append(Registration(ticket.id, refusal=TicketConflict()))
        return outcomes

    def _receipt(self, entry: Entry) -> Receipt:
        return Receipt(
            ticket_id=entry.ticket.id,
            transaction_hash=self._hash(entry.block_number),
            block_number=entry.block_number,
        )

    async def page(
        self,
        view: ContractView,
        ticket_filter: TicketFilter,
        *,
        cursor: int = 0,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page:
        self._fail()
        assert 1 <= limit <= 500
        ordered = sorted(self._seen(view), key=lambda entry: entry.key, reverse=newest_first)
        rest = [
            entry
            for entry in ordered
            if cursor == 0 or (entry.key < cursor if newest_first else entry.key > cursor)
        ]
        found: list[Entry] = []
        for scanned, entry in enumerate(rest, start=1):
            if ticket_filter.matches(entry.ticket):
                found.append(entry)
            if len(found) == limit or scanned == self.scan:
                return Page(tuple(found), entry.key if scanned < len(rest) else 0)
        return Page(tuple(found), 0)

    async def count(self, view: ContractView, ticket_filter: TicketFilter) -> int:
        self._fail()
        return sum(ticket_filter.matches(entry.ticket) for entry in self._seen(view))

    async def get(self, view: ContractView, ticket_id: str) -> Entry | None:
        self._fail()
        return next((e for e in self._seen(view) if e.ticket.id == ticket_id), None)

    async def receipt(self, view: ContractView, ticket_id: str) -> Receipt | None:
        entry = await self.get(view, ticket_id)
        return self._receipt(entry) if entry else None

    async def verify(
        self, view: ContractView, receipt: Receipt, ticket: Ticket | None = None
    ) -> Proof:
        entry = await self.get(view, receipt.ticket_id)
        holds = (
            entry is not None
            and self._receipt(entry) == receipt
            and (ticket is None or ticket == entry.ticket)
        )
        return Proof(entry.ticket if entry else None, (Check("the ledger holds it", holds, ""),))

    async def health(self, node: NodeRef) -> NodeHealth:
        del node
        return NodeHealth(node_up=True, privacy_manager_up=True, block_number=self.block)
