"""A station of the naive client's on the network that is measured."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from book import Book
from naive.client import Artefact, NaiveClient
from steelyard.ledger.protocol import NodeRef
from traffic import Traffic

_FILLED_AT_ONCE = 8
_IN_A_CALL = 100  # tickets of a call of `fill`
_PATIENCE = 60.0  # seconds that a node may lag behind
_PAUSE = 0.1


@dataclass(slots=True)
class NaiveStation:
    """A contract, its writer, and what it was given."""

    client: NaiveClient
    traffic: Traffic = field(default_factory=Traffic)
    book: Book = field(default_factory=Book)

    @classmethod
    def deploy(cls, node: NodeRef, party: NodeRef, artefact: Artefact) -> "NaiveStation":
        """A fresh contract, private to two nodes."""
        return cls(NaiveClient(node, party.tessera_key, artefact))

    def register_singly(self, pauses: Iterable[float]) -> list[float]:
        """A ticket after each pause, one after the other; the seconds of each without it."""
        seconds = []
        for pause in pauses:
            time.sleep(pause)
            tickets = self.traffic.tickets(1)
            seconds.append(self.client.register(tickets[0]))
            self.book.add(tickets)
        return seconds

    def register(self, count: int, at_once: int) -> float:
        """So many tickets, so many at once; the seconds until all have their receipts."""
        tickets = self.traffic.tickets(count)
        started = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self.client.register, tickets))
        seconds = time.perf_counter() - started
        self.book.add(tickets)
        return seconds

    def fill(self, size: int) -> None:
        """Bring the contract to a size, in the order of time, to query it."""
        while missing := size - len(self.book):
            count = min(missing, _IN_A_CALL * _FILLED_AT_ONCE * 4)
            tickets = self.traffic.tickets(count)
            calls = [tickets[at : at + _IN_A_CALL] for at in range(0, count, _IN_A_CALL)]
            # A node mines in the order of nonces, so these are dealt out here.
            nonces = [next(self.client.nonces) for _ in calls]
            with ThreadPoolExecutor(_FILLED_AT_ONCE) as pool:
                list(pool.map(self.client.fill, calls, nonces))
            self.book.add(tickets)

    def caught_up(self, *nodes: NodeRef) -> list[int]:
        """How many tickets nodes see, after waiting until it is as many as were given."""
        until = time.monotonic() + _PATIENCE
        views = [self.client.seen_from(node).functions for node in nodes]
        while True:
            seen = [view.total().call() for view in views]
            if set(seen) == {len(self.book)} or time.monotonic() > until:
                return seen
            time.sleep(_PAUSE)
