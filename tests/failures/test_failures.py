"""Every fault while tickets flow: each acknowledged ticket is on the ledger once, none is lost.

What `Trial.count` asserts ends every test: all tickets acknowledged, each of them in the contract
exactly once with what was sent, the same at both parties, and every receipt's block the ledger's.
"""

import asyncio
import resource

import pytest
from weighing_station import WeighingStation
from world import ADMIN_NODE, STATION_NODE, Scene, Trial

from steelyard.network import probe
from steelyard.network.processes import alive

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

SOME = 30  # tickets before and after a fault
HOUR_MS = 3_600_000
WEEK = 4_200  # tickets of a station with two weighbridges
# Less than the database has: H2 would use the free space in its file for minutes otherwise.
WRITABLE_BYTES = 65_536
OTHER_VALIDATORS = ("node-4", "node-5")


async def test_the_stations_node_is_killed_and_restarted(scene: Scene) -> None:
    """The platform stays ready; the metrics tell of the node, and of its return."""
    async with (
        scene.opened("station's node killed and restarted") as trial,
        scene.station() as station,
    ):
        await station.acknowledged(SOME)
        await trial.run(scene.network.kill, STATION_NODE, "geth")
        await trial.until_metric("node_up", STATION_NODE, 0)
        assert await trial.metric("privacy_manager_up", STATION_NODE) == 1
        assert await trial.metric("node_up", ADMIN_NODE) == 1
        assert (await trial.ready()).status == 200
        known = len(station.book.receipts)
        await asyncio.sleep(3)
        assert len(station.book.receipts) == known, "nobody could register"
        trial.healed()
        await trial.supervise(STATION_NODE)
        await trial.until_metric("node_up", STATION_NODE, 1)
        await station.acknowledged(SOME)
        await trial.count(station)


async def test_the_stations_tessera_is_killed_and_restarted(scene: Scene) -> None:
    """Its geth ends by itself when it needs it; a supervisor starts both."""
    async with (
        scene.opened("station's Tessera killed and restarted") as trial,
        scene.station() as station,
    ):
        await station.acknowledged(SOME)
        await trial.run(scene.network.kill, STATION_NODE, "tessera")
        await trial.until_metric("privacy_manager_up", STATION_NODE, 0)
        assert await trial.metric("privacy_manager_up", ADMIN_NODE) == 1
        assert (await trial.ready()).status == 200
        await asyncio.sleep(8)  # for the geth to notice, when it does
        trial.healed()
        await trial.supervise(STATION_NODE)
        await trial.until_metric("privacy_manager_up", STATION_NODE, 1)
        await trial.until_metric("node_up", STATION_NODE, 1)
        await station.acknowledged(SOME)
        await trial.count(station)


async def test_the_customers_tessera_is_away_for_the_whole_send(scene: Scene) -> None:
    """Nothing is acknowledged that the customer does not have; all of it comes later."""
    async with scene.opened("customer's admin Tessera away for the whole send") as trial:
        await trial.run(scene.network.kill, ADMIN_NODE, "tessera")
        await trial.until_metric("privacy_manager_up", ADMIN_NODE, 0)
        async with scene.station() as station:
            await asyncio.sleep(15)
            assert not station.book.receipts, "no receipt without the customer"
            assert len(station.book.made) > SOME
            assert (await station.outbox())["refused"] == 0
            assert await trial.metric("privacy_manager_up", STATION_NODE) == 1
            assert (await trial.ready()).status == 200
            assert "platform" in station.status.alarms()
            trial.healed()
            await trial.supervise(ADMIN_NODE)
            await trial.until_metric("privacy_manager_up", ADMIN_NODE, 1)
            await station.acknowledged(SOME)
            await trial.count(station)


async def test_the_platform_is_killed_and_restarted(scene: Scene) -> None:
    """SIGKILL in the middle of transactions; the process that comes after it knows nothing."""
    async with (
        scene.opened("platform process killed and restarted, three times") as trial,
        scene.station() as station,
    ):
        for _ in range(3):
            await station.acknowledged(SOME)
            scene.platform.kill("tickets-api")
            assert (await trial.ready()).status == 0
            await asyncio.sleep(1)
            trial.healed()
            scene.platform.start("tickets-api")
            await scene.platform.wait_until_ready(trial.session)
        await station.acknowledged(SOME)
        await trial.count(station)


async def test_one_validator_of_five_is_stopped(scene: Scene) -> None:
    """Tickets go on without it, and it catches up."""
    async with (
        scene.opened("one validator of five stopped") as trial,
        scene.station() as station,
    ):
        await station.acknowledged(SOME)
        await trial.run(scene.network.kill, "node-5", "geth")
        trial.healed()  # nothing heals it: the others go on
        await station.acknowledged(3 * SOME)
        assert (await trial.ready()).status == 200
        await trial.supervise("node-5")
        await station.acknowledged(SOME)
        await trial.count(station)


async def test_two_validators_of_five_are_stopped(scene: Scene) -> None:
    """The chain halts: no receipts, an ageing head; readiness stays. Then it recovers."""
    async with (
        scene.opened("two validators of five stopped: the chain halts") as trial,
        scene.station() as station,
    ):
        await station.acknowledged(SOME)
        for name in OTHER_VALIDATORS:
            await trial.run(scene.network.kill, name, "geth")
        await asyncio.sleep(3)
        known, head = len(station.book.receipts), await _head(trial)
        await trial.until(_aged(trial, 15), "the head's age grows")
        assert await _head(trial) == head, "the chain stands still"
        assert len(station.book.receipts) == known, "and nothing is acknowledged"
        assert await trial.metric("node_up", STATION_NODE) == 1
        assert (await trial.ready()).status == 200
        trial.healed()
        await trial.supervise(*OTHER_VALIDATORS)
        await station.acknowledged(SOME)
        assert await trial.metric("head_age_seconds") < 15
        await trial.count(station)


async def _head(trial: Trial) -> int:
    return await trial.run(probe.head, trial.network.node(STATION_NODE))


def _aged(trial: Trial, seconds: float):
    async def holds() -> bool:
        age = await trial.metric("head_age_seconds")
        return age is not None and age > seconds

    return holds


@pytest.mark.parametrize("name", [STATION_NODE, ADMIN_NODE])
async def test_the_disk_of_a_tessera_is_full(scene: Scene, name: str) -> None:
    """Nothing is acknowledged while it cannot write; afterwards a restart brings it back.

    The kernel refuses its writes (RLIMIT_FSIZE: EFBIG where a full disk says ENOSPC; H2
    takes both for a failed write), which needs no mount and hits no other process.
    """
    whose = "station's" if name == STATION_NODE else "customer's"
    async with (
        scene.opened(f"disk of the {whose} Tessera full") as trial,
        scene.station() as station,
    ):
        await station.acknowledged(SOME)
        try:
            _refuse_writes(trial, name)
            await trial.until(_silent(station.book.receipts), "nothing is acknowledged", 90)
            assert (await trial.ready()).status == 200
        finally:  # H2 does not come back by itself
            trial.healed()
            await trial.run(scene.network.stop, name)
        await trial.supervise(name)
        await station.acknowledged(SOME)
        await trial.count(station)


def _refuse_writes(trial: Trial, name: str) -> None:
    node = trial.network.node(name)
    record = node.record.processes["tessera"]
    assert alive(record)
    _, hard = resource.prlimit(record.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(record.pid, resource.RLIMIT_FSIZE, (WRITABLE_BYTES, hard))


def _silent(receipts: dict):
    """Whether nothing was acknowledged for ten seconds."""
    seen = [-1, 0.0]

    async def holds() -> bool:
        now = asyncio.get_running_loop().time()
        if len(receipts) != seen[0]:
            seen[:] = [len(receipts), now]
        return now - seen[1] > 10

    return holds


async def test_the_stations_clock_is_stepped_back_by_an_hour(scene: Scene) -> None:
    """Times of the hour come again, to the millisecond; the ledger takes both tickets of each.

    Weighings are a minute apart by the station's clock, so that an hour goes by.
    """
    async with (
        scene.opened("station's clock stepped back by an hour") as trial,
        scene.station() as station,
    ):
        scene.clock.run_fast()
        await _hour_of_weighings(station)
        scene.clock.set_back(HOUR_MS)
        trial.healed()
        await _hour_of_weighings(station)
        scene.clock.right()
        await station.acknowledged(SOME)
        await trial.count(station)
        moved = [
            one for one in station.book.made.values() if not one.id.endswith(f"_{one.timestamp}")
        ]
        assert len(moved) > SOME, "the hour's ids were taken, and the next free ones given"


async def test_a_station_comes_back_after_a_week(scene: Scene) -> None:
    """4,200 tickets of two weighbridges go as a SmartBox is delivered to send them."""
    async with (
        scene.opened("station offline for a week") as trial,
        scene.station(offline=True) as station,
    ):
        scene.clock.run_fast()
        await station.weigh_offline(WEEK)
        scene.clock.right()
        assert (await station.outbox())["queued"] == WEEK
        trial.healed()
        station.connect()
        await station.acknowledged(WEEK)
        trial.caught_up = max(station.book.acknowledged_at.values()) - trial.healed_at
        await trial.count(station)


async def _hour_of_weighings(station: WeighingStation) -> None:
    until = len(station.weighed) + 60
    async with asyncio.timeout(120):
        while len(station.weighed) < until:
            station.check()
            await asyncio.sleep(0.05)
