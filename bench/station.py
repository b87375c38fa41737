"""A station of ours on the network that is measured, and the ways in which it registers."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from book import Book
from steelyard.ledger.gathering import Gatherer
from steelyard.ledger.protocol import (
    ContractView,
    ContractWriter,
    NodeRef,
    Registration,
    SigningKey,
)
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import Ticket, TicketFilter
from traffic import Traffic

_PATIENCE = 60.0  # seconds that the customer's node may lag behind
_PAUSE = 0.1


@asynccontextmanager
async def opened(settings: LedgerSettings) -> AsyncIterator[QuorumLedger]:
    """The ledger as the platform opens it."""
    async with aiohttp.ClientSession() as session:
        ledger = QuorumLedger(session, settings)
        try:
            yield ledger
        finally:
            await ledger.close()


@asynccontextmanager
async def gathered(settings: LedgerSettings) -> AsyncIterator[Gatherer]:
    """What the tickets API registers with: a gatherer before the ledger."""
    async with opened(settings) as ledger:
        gatherer = Gatherer(ledger, settings)
        try:
            yield gatherer
        finally:
            await gatherer.close()


@dataclass(slots=True)
class Station:
    """A contract, who writes it and who reads it; what it was given, and what it did not take."""

    writer: ContractWriter
    customer: ContractView
    traffic: Traffic = field(default_factory=Traffic)
    book: Book = field(default_factory=Book)
    refused: int = 0

    @classmethod
    async def deploy(cls, ledger: QuorumLedger, station: NodeRef, customer: NodeRef) -> "Station":
        """A fresh contract, private to two nodes."""
        key = SigningKey(secrets.token_bytes(32))
        deployment = await ledger.deploy(key, station, [customer.tessera_key])
        view = ContractView(deployment.address, station)
        writer = ContractWriter(view, key, (customer.tessera_key,))
        return cls(writer, ContractView(deployment.address, customer))

    async def register(
        self, registrar: Gatherer, tickets: Sequence[Ticket], *, in_list: int, at_once: int
    ) -> float:
        """Register in lists of so many tickets, so many lists at once; the seconds until done."""
        lists = [tickets[at : at + in_list] for at in range(0, len(tickets), in_list)]
        waiting = iter(lists)
        outcomes: list[Registration] = []

        async def work() -> None:
            for one in waiting:
                outcomes.extend(await registrar.register(self.writer, one))

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        seconds = time.perf_counter() - started
        self._take_down(tickets, outcomes)
        return seconds

    async def register_singly(
        self, registrar: Gatherer, tickets: Sequence[Ticket], pauses: Iterable[float]
    ) -> list[float]:
        """Register one after the other, each after its pause; the seconds of each without it."""
        seconds: list[float] = []
        outcomes: list[Registration] = []
        for ticket, pause in zip(tickets, pauses, strict=True):
            await asyncio.sleep(pause)
            started = time.perf_counter()
            outcomes += await registrar.register(self.writer, [ticket])
            seconds.append(time.perf_counter() - started)
        self._take_down(tickets, outcomes)
        return seconds

    async def caught_up(self, ledger: QuorumLedger) -> int:
        """How many tickets the customer sees, after waiting until it is as many as were given."""
        until = time.monotonic() + _PATIENCE
        while True:
            seen = await ledger.count(self.customer, TicketFilter())
            if seen == len(self.book) or time.monotonic() > until:
                return seen
            await asyncio.sleep(_PAUSE)

    def _take_down(self, tickets: Sequence[Ticket], outcomes: Sequence[Registration]) -> None:
        created = sum(one.created and one.receipt is not None for one in outcomes)
        self.refused += len(tickets) - created
        self.book.add(tickets)
