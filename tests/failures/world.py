"""The network, the platform and a station for one test, and what is counted at its end."""

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from platform_process import Platform, Readiness
from weighing_station import SCALES, STATION, StationClock, WeighingStation

from real_engines import make_whole
from steelyard.ledger.protocol import ContractView, Entry, NodeRef
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.network.errors import NetworkProblem
from steelyard.network.service import LocalNetwork
from steelyard.ticket import TicketFilter

TABLE_VARIABLE = "STEELYARD_FAILURE_TABLE"
ADMIN_NODE, STATION_NODE = "node-2", "node-3"  # node-1, -4 and -5 are parties of nothing
HEADERS = (
    "fault",
    "tickets sent",
    "acknowledged",
    "on the ledger",
    "duplicates",
    "seconds to recover",
    "longest silence, s",
)


@dataclass
class Row:
    """One fault's line in the table."""

    fault: str
    sent: int
    acknowledged: int
    on_ledger: int
    duplicates: int
    recovery: float
    silence: float

    def cells(self) -> list[str]:
        counted = (self.sent, self.acknowledged, self.on_ledger, self.duplicates)
        return [
            self.fault,
            *map(str, counted),
            f"{self.recovery:.1f}",
            f"{self.silence:.1f}",
        ]


def table(rows: list[Row]) -> str:
    """The failure table in Markdown."""
    lines = [HEADERS, ["---"] * len(HEADERS), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass
class Scene:
    """What lasts for the whole session."""

    network: LocalNetwork
    platform: Platform
    directory: Path
    clock: StationClock = field(default_factory=StationClock)
    rows: list[Row] = field(default_factory=list)
    credentials: tuple[str, str] = ("", "")
    contract: str = ""

    async def register(self) -> None:
        """Nodes, a customer, a station with two weighbridges; as an administrator would."""
        async with self._session() as session:
            await self.platform.wait_until_ready(session)
            token = await self.platform.log_in(session)

            async def make(plural: str, **draft: Any) -> dict[str, Any]:
                return await self.platform.make(session, token, plural, **draft)

            for name, role in ((ADMIN_NODE, "admin"), (STATION_NODE, "station")):
                node = self.ref(name)
                await make(
                    "nodes",
                    name=name,
                    role=role,
                    rpc_url=node.rpc_url,
                    tessera_url=node.tessera_url,
                    tessera_public_key=node.tessera_key,
                )
            customer = await make("customers", name="Customer")
            station = await make("stations", name=STATION, customer_id=customer["id"])
            for name, serial in SCALES.items():
                await make(
                    "weighbridges",
                    station_id=station["id"],
                    name=name,
                    scale_serial=serial,
                    max_capacity=60_000_000,
                    scale_interval=20_000,
                )
            self.credentials = (station["client_id"], station["client_secret"])
            password = secrets.token_urlsafe(18)
            await make(
                "users",
                login="user@customer.test",
                password=password,
                role="customer-user",
                customer_id=customer["id"],
            )
            token = await self.platform.log_in(session, "user@customer.test", password)
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{self.platform.management_url}/v1/stations/{station['id']}/contract"
            async with session.get(url, headers=headers) as answer:
                self.contract = (await answer.json())["contract_address"]

    def ref(self, name: str) -> NodeRef:
        """A node as the ledger knows it."""
        node = self.network.node(name)
        return NodeRef(name, node.rpc_url, node.tessera_url, node.tessera_public_key)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.platform.tls(), force_close=True)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield session

    @asynccontextmanager
    async def opened(self, fault: str) -> AsyncIterator["Trial"]:
        """A trial of one fault on a network that is whole before and afterwards."""
        await asyncio.to_thread(make_whole, self.network)
        async with self._session() as session:
            await self.platform.wait_until_ready(session)
            try:
                yield Trial(self, session, fault)
            finally:
                self.clock.right()
                await asyncio.to_thread(make_whole, self.network)

    def station(self, *, offline: bool = False) -> WeighingStation:
        """The station, weighing from now on, or when it is told to."""
        directory = self.directory / "station"
        return WeighingStation(
            directory, self.platform, self.credentials, self.clock, offline=offline
        )

    async def entries(self, node: str) -> list[Entry]:
        """Everything in the station's contract as a party's node has it."""
        async with aiohttp.ClientSession() as session:
            ledger = QuorumLedger(session, LedgerSettings())
            view = ContractView(self.contract, self.ref(node))
            found: list[Entry] = []
            cursor = 0
            while True:
                page = await ledger.page(view, TicketFilter(), cursor=cursor, limit=200)
                found += page.entries
                if not page.next:
                    return found
                cursor = page.next

    async def receipts_found(self, node: str, ids: list[str]) -> dict[str, Any]:
        """The receipts that the ledger itself gives for a few tickets."""
        async with aiohttp.ClientSession() as session:
            ledger = QuorumLedger(session, LedgerSettings())
            view = ContractView(self.contract, self.ref(node))
            return {one: await ledger.receipt(view, one) for one in ids}


@dataclass
class Trial:
    """One fault, from the first ticket to the counting."""

    scene: Scene
    session: aiohttp.ClientSession
    fault: str
    healed_at: float = 0.0
    caught_up: float | None = None
    """Seconds from the healing to the last receipt, where no ticket is made after it."""

    @property
    def network(self) -> LocalNetwork:
        return self.scene.network

    async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call something that blocks, while the tickets flow."""
        return await asyncio.to_thread(work, *arguments)

    async def supervise(self, *names: str) -> None:
        """Start what does not run of these nodes, again and again, as a supervisor does."""
        for name in names:
            await self.run(start_again, self.network, name)

    def healed(self) -> None:
        """From now on the time until the next receipt is counted."""
        self.healed_at = time.monotonic()

    async def ready(self) -> Readiness:
        return await self.scene.platform.readiness(self.session)

    async def metric(self, name: str, node: str | None = None) -> float | None:
        return await self.scene.platform.metric(self.session, name, node)

    async def until(
        self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float = 60
    ) -> None:
        """Wait for something that the platform will tell."""
        try:
            async with asyncio.timeout(seconds):
                while not await holds():  # noqa: ASYNC110 - it is asked for
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not within {seconds:g} s: {what}") from None

    async def until_metric(self, name: str, node: str, value: float) -> None:
        """Wait until a node's metric has a value."""

        async def holds() -> bool:
            return await self.metric(name, node) == value

        await self.until(holds, f"steelyard_ledger_{name} of {node} is {value:g}")

    async def count(self, station: WeighingStation) -> None:
        """Wait for the last receipt, note the row, and hold the ledger to what was acknowledged."""
        await station.drain()
        await asyncio.to_thread(make_whole, self.network)
        book = station.book
        at_customer = await self.scene.entries(ADMIN_NODE)
        at_station = await self.scene.entries(STATION_NODE)
        times = Counter(entry.ticket.id for entry in at_customer)
        ours = {ticket_id: times[ticket_id] for ticket_id in book.made if times[ticket_id]}
        row = Row(
            self.fault,
            len(book.made),
            len(book.receipts),
            len(ours),
            sum(number - 1 for number in ours.values()),
            book.recovery(self.healed_at) if self.caught_up is None else self.caught_up,
            book.longest_silence(),
        )
        self.scene.rows.append(row)
        print("\n" + table([row]))
        assert not book.refused, "no ticket of these is wrong"
        assert book.receipts.keys() == book.made.keys(), "every ticket is acknowledged in the end"
        assert ours == dict.fromkeys(book.made, 1), "each is there exactly once"
        assert max(times.values()) == 1, "nor is any earlier one there twice now"
        assert _told(at_customer) == _told(at_station), "both parties hold the same"
        _check_contents(book.made, at_customer)
        await self._check_receipts(book.receipts, at_customer)

    async def _check_receipts(self, receipts: dict[str, Any], entries: list[Entry]) -> None:
        """Every receipt names its ticket's block; a few are compared whole with the ledger's."""
        blocks = {entry.ticket.id: entry.block_number for entry in entries}
        assert {i: r.block_number for i, r in receipts.items()} == {i: blocks[i] for i in receipts}
        few = list(receipts)[:: max(1, len(receipts) // 8)]
        found = await self.scene.receipts_found(ADMIN_NODE, few)
        assert found == {ticket_id: receipts[ticket_id] for ticket_id in few}


def _told(entries: list[Entry]) -> list[tuple[int, str]]:
    return sorted((entry.index, entry.ticket.id) for entry in entries)


def _check_contents(made: dict[str, Any], entries: list[Entry]) -> None:
    for entry in entries:
        sent = made.get(entry.ticket.id)
        if sent is not None:
            restart = entry.ticket.terminal_restart
            assert entry.ticket == sent.model_copy(update={"terminal_restart": restart})


def start_again(network: LocalNetwork, name: str, seconds: float = 120) -> None:
    """Start a node's parts until both run: a geth may end once more while its Tessera starts."""
    until = time.monotonic() + seconds
    while True:
        try:
            network.start(name)
        except NetworkProblem:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
            continue
        if next(one for one in network.status() if one.node.name == name).runs:
            return


def write_table(rows: list[Row]) -> str:
    """The table, also into the file that the environment names."""
    text = table(rows)
    if path := os.environ.get(TABLE_VARIABLE):
        Path(path).write_text(text + "\n")
    return text
