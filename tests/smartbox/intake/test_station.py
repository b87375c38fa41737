"""Joining, weighing and acknowledging: never a ticket from part of the cells."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartbox_kit import (
    BRIDGES,
    CELLS,
    START_MS,
    Planned,
    Stage,
    expected_ticket,
    plan,
    raw,
    until,
    write_replay,
)

from steelyard.smartbox.errors import SampleConflict, StorageUnavailable, UnknownCell
from steelyard.smartbox.intake.compensation import compensate, round_to, weigh
from steelyard.smartbox.intake.emission import TicketBuilder
from steelyard.smartbox.intake.joiner import Joiner
from steelyard.smartbox.intake.replay import Replay
from steelyard.smartbox.intake.station import Station
from steelyard.smartbox.models import Moment, Sample
from steelyard.smartbox.recorder import Recorder, Storage
from steelyard.smartbox.settings import CellSettings, WeighbridgeSettings
from steelyard.smartbox.status import Status
from steelyard.ticket import Ticket
from steelyard.weighings import BadWeighings


def samples(weighing: Planned, sequence: int = 0) -> list[Sample]:
    return [Sample(cell, weighing.time, sequence, raw(grams)) for cell, grams in weighing.cells]


class Bench:
    """A station over a real storage, without a network."""

    def __init__(self, stage: Stage, directory: Path, replay: Path | None, deadline: float) -> None:
        settings = stage.load(directory / "data", "https://localhost")
        self.bridges = {bridge.name: bridge for bridge in settings.weighbridges}
        self._directory = directory / "data"
        cells = {name: frozenset(serials) for name, (_, serials) in BRIDGES.items()}
        self.replay = Replay.read(replay, "station-1", cells) if replay else None
        self.deadline = deadline
        self.status = Status(lambda: START_MS)
        self.failures: list[BaseException] = []
        self.woken = 0
        self.closed = False

    async def open(self) -> "Bench":
        self.recorder = await Recorder.open(
            lambda: Storage.open(self._directory, "station-1", replay=self.replay is not None)
        )
        builder = TicketBuilder("station-1", "T1", 7, self.bridges, self.replay)
        self.station = Station(
            self.recorder,
            builder,
            CELLS,
            self.status,
            deadline=self.deadline,
            on_ticket=self._wake,
            on_failure=self.failures.append,
        )
        return self

    def _wake(self) -> None:
        self.woken += 1

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            await self.station.close()
            await self.recorder.close()

    async def take(self, *given: Sample) -> list[Any]:
        """Send samples all at once; what each sender got."""
        return await asyncio.gather(
            *(self.station.take(sample) for sample in given), return_exceptions=True
        )

    async def tickets(self) -> list[Ticket]:
        waiting = await self.recorder.run(self.recorder.storage.outbox.waiting, 1000)
        return [Ticket.model_validate_json(ticket.body) for ticket in waiting]

    async def aside(self) -> list[dict[str, Any]]:
        return await self.recorder.run(self.recorder.storage.outbox.weighings_set_aside)


@pytest.fixture
async def bench(stage: Stage, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Makes benches; closes them."""
    opened: list[Bench] = []

    async def make(planned: list[Planned] | None = None, deadline: float = 30.0) -> Bench:
        rows = write_replay(planned, tmp_path) if planned is not None else None
        opened.append(await Bench(stage, tmp_path, rows, deadline).open())
        return opened[-1]

    yield make
    for one in opened:
        await one.close()


async def test_any_order_of_samples_gives_the_same_ticket(bench: Callable[..., Any]) -> None:
    """All 24 orders of four cells, each sample twice: one ticket, as the row says."""
    planned = plan(48)
    station = await bench(planned)
    for weighing, order in zip(planned[::2], itertools.permutations(range(4)), strict=True):
        one = samples(weighing)
        got = await station.take(*(one[index] for index in (*order, *reversed(order))))
        assert got == [None] * 8
    assert await station.tickets() == [expected_ticket(w) for w in planned[::2]]
    assert station.woken == 24


async def test_nobody_is_answered_before_the_ticket_is_durable(
    bench: Callable[..., Any],
) -> None:
    """The first cells wait for the last; when they hear, the ticket is in both books."""
    station = await bench(plan(2))
    first, second, third, last = samples(plan(1)[0])
    waiting = [asyncio.create_task(station.station.take(s)) for s in (first, second, third)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in waiting)
    assert await station.tickets() == []
    await station.station.take(last)
    assert len(await station.tickets()) == 1
    assert station.recorder.storage.alibi.head.sequence == 1
    await asyncio.gather(*waiting)


async def test_a_cell_that_hangs_up_does_not_take_its_sample_along(
    bench: Callable[..., Any],
) -> None:
    """A cancelled request leaves the sample joined: the others still get their ticket."""
    station = await bench(plan(2))
    first, *others = samples(plan(1)[0])
    task = asyncio.create_task(station.station.take(first))
    await asyncio.sleep(0.05)
    task.cancel()
    assert await station.take(*others) == [None] * 3
    assert await station.take(first) == [None]
    assert len(await station.tickets()) == 1


async def test_silent_cells_set_the_weighing_aside_and_late_ones_complete_it(
    bench: Callable[..., Any],
) -> None:
    """The alarm names the silent cells; no ticket comes of a part; nothing is lost."""
    planned = plan(2)
    station = await bench(planned, deadline=0.05)
    first, second, *silent = samples(planned[0])
    assert await station.take(first, second) == [None, None]
    assert await station.tickets() == []
    (aside,) = await station.aside()
    assert (aside["reason"], aside["detail"]) == ("silent-cells", "no sample from C13, C14")
    assert station.status.alarms() == {"silent-cells:wb-1": "no sample from C13, C14"}
    assert await station.take(first) == [None]
    station.station._deadline = 30.0
    assert await station.take(*silent) == [None, None]
    assert await station.tickets() == [expected_ticket(planned[0])]
    assert await station.aside() == []
    assert station.status.alarms() == {}


async def test_a_time_without_a_row_is_set_aside(bench: Callable[..., Any]) -> None:
    """A replay makes no ticket of what its file does not have."""
    station = await bench(plan(2))
    strange = [
        Sample(sample.cell, sample.time + 1, 0, sample.raw) for sample in samples(plan(1)[0])
    ]
    assert await station.take(*strange) == [None] * 4
    assert await station.tickets() == []
    assert [aside["reason"] for aside in await station.aside()] == ["no-row"]


async def test_what_was_set_aside_is_looked_at_again_at_the_start(
    bench: Callable[..., Any],
) -> None:
    """A row that was added meanwhile makes the ticket; what is not complete waits on."""
    planned = plan(4)
    station = await bench(planned[:2], deadline=0.05)
    await station.take(*samples(planned[2]))
    await station.take(*samples(planned[3])[:2])
    assert [aside["reason"] for aside in await station.aside()] == ["no-row", "silent-cells"]
    assert set(station.status.alarms()) == {"no-row:wb-1", "silent-cells:wb-2"}
    await station.close()
    again = await bench(planned)
    await again.station.resume()
    await until(lambda: again.woken == 1)
    assert await again.tickets() == [expected_ticket(planned[2])]
    assert [aside["time"] for aside in await again.aside()] == [planned[3].time]
    assert set(again.status.alarms()) == {"silent-cells:wb-2"}
    assert await again.take(*samples(planned[3])) == [None] * 4
    assert await again.tickets() == [expected_ticket(w) for w in planned[2:]]


async def test_a_weight_below_zero_is_set_aside(bench: Callable[..., Any]) -> None:
    """A ticket's gross is never negative."""
    station = await bench()
    negative = [Sample(c, START_MS, 0, Decimal(-100)) for c in BRIDGES["wb-1"][1]]
    assert await station.take(*negative) == [None] * 4
    assert [aside["reason"] for aside in await station.aside()] == ["out-of-range"]


async def test_another_value_for_the_same_moment_is_a_conflict(
    bench: Callable[..., Any],
) -> None:
    """Neither overwrites the other, and an alarm is raised."""
    station = await bench(plan(2))
    first, *others = samples(plan(1)[0])
    task = asyncio.create_task(station.station.take(first))
    await asyncio.sleep(0.05)
    with pytest.raises(SampleConflict):
        await station.station.take(Sample(first.cell, first.time, 0, first.raw + 1))
    await station.take(*others)
    await task
    assert await station.tickets() == [expected_ticket(plan(1)[0])]
    assert "sample-conflict" in station.status.alarms()


async def test_an_unknown_cell_is_refused_and_counted(bench: Callable[..., Any]) -> None:
    """Its certificate is good, but it stands under no weighbridge here."""
    station = await bench()
    with pytest.raises(UnknownCell):
        await station.station.take(Sample("STRANGER", START_MS, 0, Decimal(1)))
    assert station.status.counters["unknown_cells"] == 1


async def test_a_failing_disk_is_told_to_every_waiting_cell(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is acknowledged, and the SmartBox ends to look at its disk again."""
    station = await bench(plan(2))

    def full(*_: object) -> str:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(station.recorder.storage, "record", full)
    got = await station.take(*samples(plan(1)[0]))
    assert all(isinstance(one, StorageUnavailable) for one in got)
    await until(lambda: bool(station.failures))
    assert "storage" in station.status.alarms()


async def test_live_weighings_know_no_vehicle_and_see_overload(
    bench: Callable[..., Any],
) -> None:
    """Without a replay the terminal is the SmartBox's own, and Max decides the status."""
    station = await bench()
    for time, kilograms in ((START_MS, 15_000), (START_MS + 1, 15_005), (START_MS + 2, 15_006)):
        cells = [Sample(c, time, time - START_MS, Decimal(kilograms)) for c in BRIDGES["wb-2"][1]]
        await station.take(*cells)
    tickets = await station.tickets()
    assert [ticket.status for ticket in tickets] == ["ok", "overload", "overload"]
    assert [ticket.gross for ticket in tickets] == [60_000_000, 60_020_000, 60_020_000]
    assert {ticket.vehicle for ticket in tickets} == {None}
    assert {ticket.terminal_restart for ticket in tickets} == {7}


@given(st.permutations([0, 0, 1, 1, 2, 2, 3, 3]), st.sets(st.integers(0, 3)))
def test_the_joiner_wants_every_cell_once(order: list[int], silent: set[int]) -> None:
    """Whatever the order and the repetitions: complete exactly when no cell is silent."""
    cells = ("a", "b", "c", "d")
    joiner = Joiner(lambda _: cells)
    moment = Moment("wb", 1)
    joiner.start(moment)
    heard: set[int] = set()
    for index in (one for one in order if one not in silent):
        new = joiner.add(moment, Sample(cells[index], 1, 5, Decimal(index)))
        assert new == (index not in heard)
        heard.add(index)
        joined = joiner.joined(moment)
        assert (joined is not None) == (heard == {0, 1, 2, 3})
        if joined is not None:
            assert [sample.cell for sample in joined.samples] == list(cells)
    assert set(joiner.silent(moment)) == {cells[index] for index in silent}


decimals = st.decimals(-1000, 60_000, places=3)
factors = st.decimals("0.5", "1.5", places=6)


@given(decimals, decimals, factors, factors)
def test_compensation_is_exact(
    raw_value: Decimal, zero: Decimal, span: Decimal, corner: Decimal
) -> None:
    """(raw - zero) * span * corner, without any rounding on the way."""
    cell = CellSettings(serial="C", zero=zero, span=span, corner=corner)
    exact = (Fraction(raw_value) - Fraction(zero)) * Fraction(span) * Fraction(corner) * 1000
    assert compensate(cell, raw_value) == exact


@given(st.fractions(), st.sampled_from([1, 2, 5, 10, 20_000]))
def test_rounding_is_to_the_nearest_multiple(value: Fraction, interval: int) -> None:
    """At most half an interval away; a tie goes away from zero; signs mirror."""
    rounded = round_to(value, interval)
    assert rounded % interval == 0
    assert abs(rounded - value) * 2 <= interval
    assert round_to(-value, interval) == -rounded
    if abs(rounded - value) * 2 == interval:
        assert abs(rounded) > abs(value)


def test_the_gross_is_rounded_once() -> None:
    """Rounding each cell first would give 0: the sum is rounded, 4 * 2.5 g = 10 g."""
    bridge = WeighbridgeSettings(
        name="wb",
        scale_serial="W",
        scale_interval_grams=10,
        max_capacity_grams=1000,
        cells=[{"serial": f"C{n}", "span": "1.25", "zero": "0.001"} for n in range(4)],
    )
    weight = weigh(bridge, [Sample(f"C{n}", 1, 0, Decimal("0.003")) for n in range(4)])
    assert weight.gross == 10
    assert weight.cells == (("C0", 3), ("C1", 3), ("C2", 3), ("C3", 3))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("station-1,wb-1", "station-2,wb-1", "line 2, column station: must be station-1"),
        ("station-1,wb-1", "station-1,wb-9", "column weighbridge: must be one of wb-1, wb-2"),
        ("C14", "C24", "column cell_4_serial: must be a cell of wb-1"),
        ("tare_kg,", "tare_kg,gross_kg,", "column gross_kg: is unknown"),
        ("vehicle,tare_kg", "vehicle,other", "column tare_kg: is missing"),
    ],
)
def test_a_replay_that_does_not_fit_the_station_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    """With its line and column, before anything is taken."""
    path = write_replay(plan(2), tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    cells = {name: frozenset(serials) for name, (_, serials) in BRIDGES.items()}
    with pytest.raises(BadWeighings, match=message):
        Replay.read(path, "station-1", cells)
