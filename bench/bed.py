"""The network that is measured, and what was found on it so far."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from disk import Growth
from figures import Rate, Spread
from goals import Check
from naive.client import Artefact
from naive.station import NaiveStation
from options import Extent
from queries import Answered, Scanned, runs_are_there
from station import Station, gathered, opened
from steelyard.ledger.protocol import NodeRef
from steelyard.ledger.settings import LedgerSettings
from steelyard.network import probe
from steelyard.network.service import LocalNetwork
from steelyard.ticket import Ticket
from usage import Usage


@dataclass(slots=True)
class Result:
    """All figures, in seconds, tickets and bytes. Periods are seconds a block."""

    period: float
    measured_period: float | None = None
    latencies: dict[str, Spread] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    week: float | None = None
    queries: dict[int, dict[str, Answered]] = field(default_factory=dict)
    scans: dict[int, dict[str, Scanned]] = field(default_factory=dict)
    growth: dict[int, Rate] = field(default_factory=dict)
    disk: dict[str, Growth] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)


class Bed:
    """A network that is up: the first node is the station's, the second its customer's."""

    def __init__(
        self,
        network: LocalNetwork,
        settings: LedgerSettings,
        extent: Extent,
        artefact: Artefact,
        result: Result,
        say: Callable[[str], None],
    ) -> None:
        self.network = network
        self.settings = settings
        self.extent = extent
        self.result = result
        self.say = say
        self._artefact = artefact
        self.station, self.customer, *_ = (
            NodeRef(node.name, node.rpc_url, node.tessera_url, node.tessera_public_key)
            for node in network.nodes
        )

    def head(self) -> int:
        """The number of the newest block at the station's node."""
        return probe.head(self.network.nodes[0])

    def deployed(self) -> Station:
        """A fresh contract of ours."""

        async def deploy() -> Station:
            async with opened(self.settings) as ledger:
                return await Station.deploy(ledger, self.station, self.customer)

        return asyncio.run(deploy())

    def deployed_naively(self) -> NaiveStation:
        """A fresh naive contract of the same two nodes."""
        return NaiveStation.deploy(self.station, self.customer, self._artefact)

    def register(
        self, station: Station, tickets: Sequence[Ticket], *, in_list: int, at_once: int
    ) -> float:
        """Register in lists of so many tickets, so many lists at once; the seconds until done."""

        async def register() -> float:
            async with gathered(self.settings) as registrar:
                return await station.register(registrar, tickets, in_list=in_list, at_once=at_once)

        return asyncio.run(register())

    def register_singly(self, station: Station, pauses: Sequence[float]) -> list[float]:
        """A ticket after each pause, one after the other; the seconds of each without it."""

        async def register() -> list[float]:
            tickets = station.traffic.tickets(len(pauses))
            async with gathered(self.settings) as registrar:
                return await station.register_singly(registrar, tickets, pauses)

        return asyncio.run(register())

    def note(self, name: str, holds: bool, seen: str) -> None:
        """Take down whether something that was measured is right."""
        self.result.checks.append(Check(name, holds, seen))
        if not holds:
            self.say(f"not right: {name}; {seen}")

    def examine(self, name: str, station: Station) -> None:
        """Compare what the customer sees of a contract with what its station was given."""

        async def look() -> tuple[int, bool]:
            async with opened(self.settings) as ledger:
                count = await station.caught_up(ledger)
                return count, await runs_are_there(ledger, station)

        given = len(station.book)
        count, same = asyncio.run(look())
        self.note(f"{name}: every ticket created", station.refused == 0, f"{station.refused} not")
        self.note(f"{name}: count", count == given, f"{count:,} of {given:,}")
        self.note(f"{name}: pages", same, "a page differs from what was registered")
