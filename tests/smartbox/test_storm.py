"""What the cells' wire may do to datagrams changes no weight and makes no ticket too many."""

import asyncio
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import cbor2
import pytest
from aiocoap import CHANGED, POST, Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.constants import TransportTuning
from smartbox_kit import START_MS, STATION, Stage, until

sys.path.insert(0, str(Path(__file__).parent.parent / "coap"))

from coap_harness import Proxy, Raw

from steelyard.coap.client import CoapClient, create_coap_client
from steelyard.coap.counters import TransportCounters
from steelyard.coap.credentials import Credentials
from steelyard.coap.senml import CONTENT_FORMAT, Sample, encode
from steelyard.coap.server import CoapServer, create_coap_server
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.intake.resource import make_site
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.settings import WeighbridgeSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.timing import Stamp
from steelyard.smartbox.weighing.shown import show

CELLS = ("C11", "C12", "C13", "C14")
RATE = 20
PACK = 4
# A truck of 30 t: (seconds, kilograms on each cell).
PROFILE = ((3.0, 0.0), (1.0, 4_000.0), (4.0, 7_500.0), (1.0, 2_000.0), (2.0, 0.0))


class Quick(TransportTuning):
    """Retransmissions come soon, and for long: the storm is in the datagrams, not in the time."""

    ACK_TIMEOUT = 0.2
    MAX_RETRANSMIT = 8


class Storm(Proxy):
    """Loses, doubles, delays and replays datagrams of both directions, by a seed."""

    def __init__(
        self,
        server: tuple[str, int],
        *,
        seed: int,
        loss: float = 0.0,
        twice: float = 0.0,
        late: float = 0.0,
        replay: float = 0.0,
    ) -> None:
        super().__init__(server, loss=loss, seed=seed)
        self._twice, self._late, self._replay = twice, late, replay
        self._whims = random.Random(f"whims {seed}")  # noqa: S311 - a storm that can be repeated
        self._tasks: set[asyncio.Task[None]] = set()
        self.done = dict.fromkeys(("twice", "late", "replay"), 0)

    async def _forward(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._passes("client", data):
            back = await self._back(addr)
            self._let_out(data, back.sendto)
            if self._whims.random() < self._replay:
                old = [seen for origin, seen in self.seen if origin == "client"]
                self.done["replay"] += 1
                back.sendto(self._whims.choice(old))

    def backwards(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._passes("server", data):
            self._let_out(data, lambda one: self.front.sendto(one, addr))

    def _let_out(self, data: bytes, send: Any) -> None:
        if self._whims.random() < self._twice:
            self.done["twice"] += 1
            send(data)
        if self._whims.random() < self._late:
            self.done["late"] += 1
            task = asyncio.ensure_future(self._hold(data, send))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            send(data)

    async def _hold(self, data: bytes, send: Any) -> None:
        await asyncio.sleep(self._whims.uniform(0.01, 0.15))
        send(data)

    async def shutdown(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().shutdown()


class Wire:
    """A weighbridge that weighs by a cycle behind a real CoAP server, and its clock."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.stage, self.directory = stage, directory
        self.now = START_MS
        self.status = Status(lambda: self.now)
        self.counters = TransportCounters()
        self.failures: list[BaseException] = []
        self.clients: list[CoapClient] = []
        self.proxies: list[Proxy] = []
        self.server: CoapServer
        self.sequence = 0

    async def open(self) -> None:
        self.recorder = await Recorder.open(lambda: Storage.open(self.directory, STATION))
        bridge = WeighbridgeSettings(
            name="wb-1",
            scale_serial="WB01",
            scale_interval_grams=20_000,
            max_capacity_grams=60_000_000,
            cells=[{"serial": cell} for cell in CELLS],
            weighing={
                "rate_hz": RATE,
                "filter_seconds": 0.3,
                "stable_seconds": 0.5,
                "hold_seconds": 0.5,
            },
        )
        self.live = LiveStation(
            self.recorder,
            [(bridge, None)],
            (STATION, "T1", 1),
            self.status,
            lambda: self.now,
            stamp=lambda time: Stamp("b", time, known=True),
            on_ticket=lambda: None,
            on_failure=self.failures.append,
        )
        box = self.stage.smartbox
        authority = self.stage.devices
        credentials = Credentials(
            box.certificate_path, box.key_path, authority.certificate_path, authority.crl_path
        )
        site = make_site(STATION, self.live, self.status, self.counters, lambda: self.now)
        self.server = await create_coap_server(
            site, ("127.0.0.1", 0), credentials, counters=self.counters
        )

    async def client(self, cell: str) -> CoapClient:
        """A client with a cell's certificate."""
        issued = self.stage.cells[cell]
        credentials = Credentials(
            issued.certificate_path, issued.key_path, self.stage.devices.certificate_path, None
        )
        client = await create_coap_client(credentials)
        self.clients.append(client)
        return client

    async def proxy(self, proxy: Proxy) -> Proxy:
        await proxy.open()
        self.proxies.append(proxy)
        return proxy

    async def close(self) -> None:
        for client in self.clients:
            await client.shutdown()
        for proxy in self.proxies:
            await proxy.shutdown()
        await self.server.shutdown()
        await self.live.close()
        await self.recorder.close()

    async def tickets(self) -> list[Any]:
        """What is in the outbox, in order."""
        while self.live._tasks:
            await asyncio.gather(*self.live._tasks)
        waiting = await self.recorder.run(lambda: self.recorder.storage.outbox.waiting(100))
        return [json.loads(one.body) for one in waiting]


@pytest.fixture
async def wire(stage: Stage, tmp_path: Path) -> Any:
    made = Wire(stage, tmp_path)
    await made.open()
    yield made
    await made.close()


def request(
    address: tuple[str, int], sequence: int, samples: list[Sample] | bytes, **more: Any
) -> Message:
    """A pack of samples to the SmartBox's resource."""
    host, port = address
    message = Message(
        code=POST,
        uri=f"coaps://{host}:{port}/weight?sequence={sequence}",
        payload=samples if isinstance(samples, bytes) else encode(samples),
        content_format=CONTENT_FORMAT,
        transport_tuning=Quick(),
    )
    for name, value in more.items():
        setattr(message, name, value)
    return message


async def drive(wire: Wire, addresses: dict[str, tuple[str, int]], *, clocks: bool = True) -> None:
    """A truck comes and goes: each cell's packs in turn, all acknowledged in the end.

    Cells without `clocks` say how long ago they measured (RFC 8428, 4.5.3).
    """
    clients = {cell: await wire.client(cell) for cell in CELLS}
    sequence = 0
    for seconds, kilograms in PROFILE:
        for _ in range(round(seconds * RATE / PACK)):
            times = [wire.now + (n + 1) * 1000 // RATE for n in range(PACK)]
            wire.now = times[-1]
            since = 0 if clocks else wire.now
            packs = {
                cell: [
                    Sample(kilograms + number / 10, (time - since) / 1000, unit="kg")
                    for time in times
                ]
                for number, cell in enumerate(CELLS)
            }
            answers = await asyncio.gather(
                *(
                    clients[cell]
                    .request(
                        request(addresses[cell], sequence, packs[cell]), handle_blockwise=False
                    )
                    .response
                    for cell in CELLS
                )
            )
            assert {answer.code for answer in answers} == {CHANGED}
            sequence += PACK


STORMS: dict[str, dict[str, float]] = {
    "calm": {},
    "a fifth lost": {"loss": 0.2},
    "half doubled": {"twice": 0.5},
    "out of order": {"late": 0.4},
    "replayed": {"replay": 0.5},
    "all of it": {"loss": 0.2, "twice": 0.3, "late": 0.3, "replay": 0.3},
}


@pytest.mark.slow
@pytest.mark.parametrize("storm", STORMS.values(), ids=STORMS.keys())
async def test_a_truck_in_a_storm_is_one_ticket_of_its_weight(
    wire: Wire, storm: dict[str, float]
) -> None:
    """Lost, doubled, delayed, replayed: one ticket, of the weight that stood there, to the gram."""
    proxies = {
        cell: await wire.proxy(Storm(wire.server.address, seed=number, **storm))
        for number, cell in enumerate(CELLS)
    }
    await drive(wire, {cell: proxy.address for cell, proxy in proxies.items()})
    assert wire.failures == []
    (ticket,) = await wire.tickets()
    assert ticket["scaleGross"] == 30_000_000
    assert [one["cellWeight"] for one in ticket["cells"]] == [7_500_000] * 4
    assert ticket["scaleStatus"] == "ok"
    for kind, count in {
        kind: sum(proxy.done[kind] for proxy in proxies.values())
        for kind in ("twice", "late", "replay")
    }.items():
        assert (count > 0) is (kind in storm)
    assert (sum(proxy.lost for proxy in proxies.values()) > 0) is ("loss" in storm)
    assert wire.live.bridge("wb-1").watch.faults() == {}


async def test_a_truck_on_cells_without_clocks_is_one_ticket(wire: Wire) -> None:
    """Their times count from when they came, by the SmartBox's clock and to its millisecond."""
    wire.now += 123
    await drive(wire, dict.fromkeys(CELLS, wire.server.address), clocks=False)
    assert wire.failures == []
    (ticket,) = await wire.tickets()
    assert (ticket["scaleGross"], ticket["scaleStatus"]) == (30_000_000, "ok")
    assert wire.live.bridge("wb-1").watch.faults() == {}


async def test_replayed_datagrams_of_a_session_that_is_over_do_nothing(wire: Wire) -> None:
    """Everything that a cell ever sent, sent again from its address and from another one."""
    proxy = await wire.proxy(Proxy(wire.server.address))
    client = await wire.client("C11")
    wire.now += 1000
    first = request(proxy.address, 0, [Sample(1.0, wire.now / 1000, unit="kg")])
    assert (await client.request(first).response).code == CHANGED
    await client.shutdown()
    await until(lambda: wire.counters.peers == 0)
    taken = wire.status.counters["samples_taken"]
    sent = [data for origin, data in proxy.seen if origin == "client"]
    stranger = await Raw.open(wire.server.address)
    (own,) = proxy._backs.values()
    before = wire.counters.datagrams_in
    for data in sent * 3:
        own.sendto(data)
        stranger.send(data)
    await until(lambda: wire.counters.datagrams_in >= before + 6 * len(sent))
    stranger.close()
    assert wire.counters.handshakes_ok == 1
    assert wire.status.counters["samples_taken"] == taken


ABSURD: dict[str, dict[int, Any]] = {
    "no number": {2: math.nan},
    "infinite": {2: math.inf},
    "beyond any scale": {2: 10_000_001.0},
    "a truth": {2: True},
    "a text": {2: "30000"},
    "before 1970": {2: 1.0, 6: -4.0e9},
    "after 9999": {2: 1.0, 6: 2.6e11},
    "pounds": {2: 1.0, 1: "lb"},
    "finer than a millisecond": {2: 1.0, 6: 0.0005},
}


@pytest.mark.parametrize("record", ABSURD.values(), ids=ABSURD.keys())
async def test_what_no_cell_can_weigh_is_refused_over_the_wire(
    wire: Wire, record: dict[int, Any]
) -> None:
    """With a sentence, and nothing of it comes into the bridge."""
    client = await wire.client("C11")
    payload = cbor2.dumps([{-3: wire.now / 1000, -4: "kg", **record}])
    answer = await client.request(request(wire.server.address, 0, payload)).response
    assert answer.code in {Code.BAD_REQUEST, Code.UNPROCESSABLE_ENTITY}
    assert answer.payload
    assert "samples_taken" not in wire.status.counters


@pytest.mark.parametrize(
    ("shift", "kilograms", "fault"),
    [(3_600_000, 0.0, "clock"), (-3_600_000, 0.0, "clock"), (0, 9_000_000.0, "absurd")],
    ids=["of the future", "of the past", "absurd"],
)
async def test_samples_of_another_time_and_absurd_weights_are_named(
    wire: Wire, shift: int, kilograms: float, fault: str
) -> None:
    """They are taken off the wire, come into no weight, and their cell is named."""
    clients = {cell: await wire.client(cell) for cell in CELLS}
    for sequence in range(6):
        wire.now += 50
        for cell, client in clients.items():
            bad = cell == "C12"
            moment = (wire.now + (shift if bad else 0)) / 1000
            sample = Sample(kilograms if bad else 0.0, moment, unit="kg")
            message = request(wire.server.address, sequence, [sample])
            assert (await client.request(message).response).code == CHANGED
    bridge = wire.live.bridge("wb-1")
    assert bridge.watch.faults() == {"C12": fault}
    assert show(bridge)["gross"] is None
    assert await wire.tickets() == []
