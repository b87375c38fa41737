"""A weighbridge with a cycle on a full disk, and over a step of the clock."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storage_kit import open_storage
from weighing_kit import START, STEP, Rig, settings

from steelyard.smartbox.alibi.format import Record
from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.errors import StorageFull
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.models import Sample
from steelyard.smartbox.recorder import ALIBI_FILE, Recorder
from steelyard.smartbox.room import ALARM
from steelyard.smartbox.status import Status
from steelyard.smartbox.timing import Stamp
from steelyard.smartbox.weighing.shown import show

LOAD = [5_000.0, 6_000.0, 7_000.0, 8_000.0]
EMPTY = [0.0] * 4


class Scene:
    """A live station over a real storage, fed by hand; `behind` is how far its clock is back."""

    def __init__(self, recorder: Recorder, passes: int = 1) -> None:
        self.rig = Rig(ideal=True)
        self.recorder = recorder
        self.behind = 0
        self.known = True
        self.boot = "b"
        self.status = Status(self.now)
        self.failures: list[BaseException] = []
        self.live = LiveStation(
            recorder,
            [(settings(4, passes=passes), None)],
            ("s-1", "T1", 1),
            self.status,
            self.now,
            on_ticket=lambda: None,
            on_failure=self.failures.append,
            stamp=lambda time: Stamp(self.boot, time - START, self.known),
        )

    def now(self) -> int:
        return self.rig.now - self.behind

    async def stand(
        self, seconds: float, load: list[float], spoil: Callable[[Sample], Sample] = lambda one: one
    ) -> None:
        """A load stands there so long; `spoil` may change what a cell says."""
        for _ in range(round(seconds * 1000 / STEP)):
            self.rig.now += STEP
            for sample in self.rig.samples(load):
                await self.live.take(spoil(sample))
            self.live.tick()
            while self.live._tasks:
                await next(iter(self.live._tasks))

    async def tickets(self) -> list[Any]:
        return await self.recorder.run(self.recorder.storage.outbox.waiting, 100)

    @property
    def shown(self) -> dict[str, Any]:
        return show(self.live.bridge("wb-1"))


class Full:
    """A room that is full, as long as the test says so."""

    def __init__(self) -> None:
        self.text: str | None = None

    def problem(self) -> str | None:
        return self.text

    def check(self) -> None:
        if self.text is not None:
            raise StorageFull(self.text)


async def scene(directory: Path) -> tuple[Scene, Full]:
    recorder = await Recorder.open(lambda: open_storage(directory))
    room = Full()
    recorder.storage.room = room  # type: ignore[assignment]
    one = Scene(recorder)
    await one.stand(5, EMPTY)
    return one, room


async def test_a_full_disk_stops_the_tickets_and_not_the_weighing(tmp_path: Path) -> None:
    """The load is shown with the reason; once there is room the one that stands there gets its
    ticket, and one that left has none.
    """
    one, room = await scene(tmp_path)
    room.text = "the disk is full: 1 MiB are free"
    await one.stand(8, LOAD)
    assert one.shown["gross"] == 26_000_000
    assert one.shown["reason"] == room.text
    assert one.status.alarms() == {ALARM: f"no tickets are issued: {room.text}"}
    assert await one.tickets() == []
    await one.stand(5, EMPTY)
    await one.stand(8, LOAD)
    assert await one.tickets() == []
    room.text = None
    await one.stand(3, LOAD)
    assert len(await one.tickets()) == 1
    assert one.status.alarms() == {}
    await one.stand(8, LOAD)
    assert len(await one.tickets()) == 1, "one load, one ticket"
    assert one.failures == []
    await one.recorder.close()


@pytest.mark.parametrize("passes", [1, 2])
async def test_a_load_whose_ticket_only_the_alibi_memory_has_gets_no_other(
    tmp_path: Path, passes: int
) -> None:
    """The outbox met the full disk, after the alibi memory: the ticket is issued and waits.

    And it is the first pass of its vehicle.
    """
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    storage = recorder.storage
    real, full = storage.outbox.add, [True]

    def add(found: Record) -> None:
        if full[0]:
            raise StorageFull("the outbox: database or disk is full")
        real(found)

    storage.outbox.add = add  # type: ignore[method-assign]
    one = Scene(recorder, passes)
    await one.stand(5, EMPTY)
    one.live.set_vehicle("wb-1", "A 1")
    await one.stand(16, LOAD)
    assert one.status.counters["tickets"] == 1
    assert storage.alibi.head.sequence == 1
    await one.stand(5, EMPTY)
    full[0] = False
    one.live.set_vehicle("wb-1", "A 1")
    await one.stand(8, [force + 1000 for force in LOAD])
    assert storage.alibi.head.sequence == 2
    tickets = [json.loads(waiting.body) for waiting in await one.tickets()]
    assert [ticket["scaleGross"] for ticket in tickets] == [26_000_000, 30_000_000]
    assert [ticket["scaleTare"] for ticket in tickets] == [0, 26_000_000 * (passes - 1)]
    assert one.failures == []
    await recorder.close()


async def test_a_ticket_that_found_the_disk_full_is_given_when_there_is_room(
    tmp_path: Path,
) -> None:
    """Nobody saw it coming: the write failed. The SmartBox goes on, and so does the load."""
    one, room = await scene(tmp_path)
    room.problem = lambda: None  # type: ignore[method-assign]
    room.text = "No space left on device"
    await one.stand(8, LOAD)
    assert await one.tickets() == []
    assert "No space left" in one.status.alarms().get(ALARM, "No space left")
    assert one.status.counters["tickets_without_room"] >= 1
    assert one.status.counters["tickets"] == 0
    room.text = None
    await one.stand(6, LOAD)
    assert len(await one.tickets()) == 1
    assert one.failures == []
    await one.recorder.close()


async def test_a_clock_that_is_set_back_stops_no_bridge(tmp_path: Path) -> None:
    """Samples are ordered anew; the load settles once more and gets its ticket, of the new time."""
    one, _ = await scene(tmp_path)
    await one.stand(1, LOAD)
    one.behind = 3000
    one.live.rebase(-3000)
    await one.stand(8, LOAD)
    (ticket,) = await one.tickets()
    time = int(ticket.id.rsplit("_", 1)[1])
    assert START + 3000 < time <= one.now()
    await one.recorder.close()


@pytest.mark.parametrize("step", [-7_200_000, 7_200_000], ids=["back", "forward"])
async def test_cells_that_go_by_the_clock_that_was_set_are_not_faulty(
    tmp_path: Path, step: int
) -> None:
    """As those on the same board do, and those whose times count from when they came."""
    one, _ = await scene(tmp_path)
    await one.stand(1, LOAD)
    one.rig.now += step
    one.live.rebase(step)
    one.live.tick()
    assert one.live.bridge("wb-1").watch.faults() == {}
    await one.stand(8, LOAD)
    assert one.live.bridge("wb-1").watch.faults() == {}
    (ticket,) = await one.tickets()
    assert abs(int(ticket.id.rsplit("_", 1)[1]) - one.now()) < 8000
    await one.recorder.close()


@pytest.mark.parametrize("step", [-7_200_000, 7_200_000], ids=["back", "forward"])
async def test_a_stuck_cell_is_stuck_after_a_step_too(tmp_path: Path, step: int) -> None:
    """The load that stands there then would get a ticket without what is on that cell."""
    one, _ = await scene(tmp_path)
    stuck = one.rig.samples(EMPTY)[0].raw

    def spoil(sample: Sample) -> Sample:
        return replace(sample, raw=stuck) if sample.cell == "C0" else sample

    await one.stand(1, EMPTY, spoil)
    await one.stand(1, LOAD, spoil)
    one.rig.now += step
    one.live.rebase(step)
    await one.stand(60, LOAD, spoil)
    assert one.live.bridge("wb-1").watch.faults() == {"C0": "stuck"}
    one.rig.now += step
    one.live.rebase(step)
    await one.stand(20, LOAD, spoil)
    assert one.live.bridge("wb-1").watch.faults() == {"C0": "stuck"}
    await one.recorder.close()


async def test_a_cell_that_is_silent_after_a_step_is_found(tmp_path: Path) -> None:
    """Its silence counts from the step, and not from a time that is yet to come."""
    one, _ = await scene(tmp_path)
    one.rig.now -= 7_200_000
    one.live.rebase(-7_200_000)
    one.rig.now += 60_000
    one.live.tick()
    assert set(one.live.bridge("wb-1").watch.faults().values()) == {"silent"}
    await one.recorder.close()


async def test_a_tare_of_which_nobody_can_tell_the_age_is_told(tmp_path: Path) -> None:
    """By an alarm, with the ticket that it stands on, until the bridge's next ticket."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    one = Scene(recorder, passes=2)
    await one.stand(5, EMPTY)
    for boot, known in (("earlier", True), ("b", False), ("b", True)):
        one.boot, one.known = boot, known
        one.live.set_vehicle("wb-1", "A 1")
        await one.stand(8, LOAD)
        alarms = one.status.alarms()
        assert (set(alarms) == {"undated-first-pass:wb-1"}) is not known
        if not known:
            (first,) = await one.tickets()
            assert f"the first weighing of A 1 ({first.id})" in alarms["undated-first-pass:wb-1"]
        await one.stand(5, EMPTY)
    bodies = [record.body["ticket"] for record in read_all(tmp_path / ALIBI_FILE)]
    assert [body["scaleTare"] for body in bodies] == [0, 0, 0]
    await recorder.close()


async def test_a_ticket_of_an_unknown_time_is_marked_and_held(tmp_path: Path) -> None:
    """Its record says which boot ran, and since when."""
    one, _ = await scene(tmp_path)
    one.known = False
    await one.stand(8, LOAD)
    assert await one.tickets() == []
    (held,) = await one.recorder.run(one.recorder.storage.outbox.untimed)
    stamped = int(held.ticket["ticketID"].rsplit("_", 1)[1])
    assert (held.boot, held.uptime) == ("b", stamped - START)
    await one.recorder.close()
