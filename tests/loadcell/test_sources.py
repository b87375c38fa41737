"""Where a stream of readings comes from, and how it is sent."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiocoap import CHANGED, Message
from hypothesis import given
from hypothesis import strategies as st

from steelyard.coap import senml
from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import AdcUnavailable, SampleRefused, SmartBoxAway
from steelyard.loadcell.hx711 import LONGEST_PULSE_SECONDS, Hx711, open_lines
from steelyard.loadcell.physics import CellNature, Platform, Traffic, forces
from steelyard.loadcell.position import Position
from steelyard.loadcell.sender import CoapSender, encode_pack
from steelyard.loadcell.source import Reading
from steelyard.loadcell.sources import (
    AdcSource,
    ReplaySource,
    SteadyLoadSource,
    TruckSource,
    make_source,
)
from steelyard.loadcell.stream import MAX_WAITING, RESERVED, Stream

START = 1_700_000_000_000
NONE = Path("none")
BASE = LoadCellConfig("C0", "127.0.0.1", 5684, NONE, NONE, NONE, NONE, interval_seconds=0.1)


class Clock:
    """A clock that sleeping moves."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return int(self.now)

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        await asyncio.sleep(0)


async def first(source: Any, count: int, start: int = 0) -> list[Reading]:
    found: list[Reading] = []
    async for reading in source.readings(start):
        found.append(reading)
        if len(found) == count:
            break
    return found


@given(st.integers(2, 16), st.floats(0, 18), st.floats(0, 3))
def test_a_platform_carries_what_stands_on_it(pairs: int, along: float, across: float) -> None:
    """The cells' shares are never negative and make 1; the load's place is their centre."""
    platform = Platform(cells=2 * pairs)
    parts = platform.shares(along, across)
    assert sum(parts) == pytest.approx(1)
    assert min(parts) >= -1e-12
    places = [
        (n // 2 * platform.length / (pairs - 1), n % 2 * platform.width) for n in range(2 * pairs)
    ]
    assert sum(part * x for part, (x, _) in zip(parts, places, strict=True)) == pytest.approx(
        along, abs=1e-9
    )
    assert sum(part * y for part, (_, y) in zip(parts, places, strict=True)) == pytest.approx(
        across, abs=1e-9
    )


@given(st.integers(0, 500))
def test_every_truck_stands_wholly_on_the_platform(slot: int) -> None:
    """Before and after it there is nothing; while it stands the cells carry its weight."""
    platform = Platform()
    truck = Traffic(1, platform).truck(slot)
    assert (
        forces(platform, truck, -0.1) == forces(platform, truck, truck.seconds + 0.1) == [0.0] * 4
    )
    settled = truck.rolls + truck.stands - 0.5
    assert sum(forces(platform, truck, settled)) == pytest.approx(truck.kilograms, rel=1e-6)
    assert truck.axles[-1][0] < platform.length
    assert 10_000 <= truck.kilograms <= 55_000
    last = truck.first_axle(truck.seconds - 1e-9, platform.length) - truck.axles[-1][0]
    assert last > platform.length


def test_a_cell_s_nature_shows() -> None:
    """Zero, gain, linearity, warmth and creep, each by itself."""
    assert CellNature(dead=1000.0).shows(5000.0, 0.0, 0.0) == 6000.0
    assert CellNature(gain=1.01).shows(5000.0, 0.0, 0.0) == 5050.0
    assert CellNature(bend=9.0).shows(15_000.0, 0.0, 0.0) == pytest.approx(15_009.0)
    assert CellNature(zero_per_kelvin=0.5).shows(0.0, -10.0, 0.0) == -5.0
    assert CellNature(span_per_kelvin=1e-5).shows(10_000.0, 10.0, 0.0) == pytest.approx(10_001.0)
    assert CellNature(creep=1e-4).shows(10_000.0, 0.0, 1e6) == pytest.approx(10_001.0)


async def test_cells_of_a_bridge_agree_on_the_truck() -> None:
    """Four processes with one seed: the same times, and together the truck's weight."""
    readings = []
    for number in range(4):
        clock = Clock()
        config = replace(BASE, serial=f"C{number}", simulated_cell=number, simulated_seed=3)
        readings.append(await first(TruckSource(config, clock, clock.sleep), 600))
    assert len({tuple(one.time for one in cell) for cell in readings}) == 1
    sums = [sum(float(one.kilograms) for one in frame) for frame in zip(*readings, strict=True)]
    truck = Traffic(3, Platform()).truck(START // 60_000)
    assert max(sums) - min(sums) == pytest.approx(truck.kilograms, rel=0.05)
    assert readings[0][0].celsius is not None


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("silent", lambda shown, true: shown is None),
        ("stuck", lambda shown, true: len({one.kilograms for one in shown}) == 1),
        ("drifting", lambda shown, true: shown[-1].kilograms - true[-1].kilograms > 80),
        ("repeating", lambda shown, true: len({one.sequence for one in shown}) == 1),
        ("absurd", lambda shown, true: {one.kilograms for one in shown} == {Decimal(10_000_000)}),
        ("future", lambda shown, true: shown[0].time - true[0].time == 3_600_000),
        ("past", lambda shown, true: shown[0].time - true[0].time == -3_600_000),
    ],
)
async def test_a_faulty_cell_on_demand(fault: str, holds: Any) -> None:
    """From the moment on that was asked for, and not before."""
    config = replace(BASE, simulated_fault=fault, simulated_fault_after_seconds=5.0)
    clocks = Clock(), Clock()
    true = await first(TruckSource(BASE, clocks[0], clocks[0].sleep), 100)
    source = TruckSource(config, clocks[1], clocks[1].sleep)
    if fault == "silent":
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(first(source, 51), 1)
        assert len(await first(TruckSource(config, Clock(), Clock().sleep), 1)) == 1
        return
    shown = await first(source, 100)
    assert shown[:49] == true[:49]
    assert holds(shown[50:], true[50:])


class Chip:
    """An HX711 as its data sheet has it, behind two lines."""

    def __init__(self, *values: int, pulse_seconds: float = 1e-6) -> None:
        self.values = list(values)
        self.pulse_seconds = pulse_seconds
        self.pulses = 0
        self.conversions: list[int] = []
        self.ready = True

    def data(self) -> bool:
        if self.pulses == 0:
            return not (self.ready and self.values)
        return bool(self.values[0] >> (24 - self.pulses) & 1) if self.pulses <= 24 else True

    def pulse(self) -> float:
        self.pulses += 1
        return self.pulse_seconds

    def settle(self) -> None:
        """The conversion after the last pulses."""
        if self.pulses:
            self.conversions.append(self.pulses)
            self.values.pop(0)
            self.pulses = 0


def read_all(chip: Chip, gain: int = 128) -> list[int | None]:
    adc = Hx711(chip, gain)
    found = []
    while chip.values:
        found.append(adc.read())
        chip.settle()
    return found


@given(st.lists(st.integers(-(2**23) + 1, 2**23 - 2), max_size=5), st.sampled_from([128, 64, 32]))
def test_the_converter_s_values_are_read(values: list[int], gain: int) -> None:
    """24 bits in two's complement; the first value of all is of the channel before; the gain."""
    chip = Chip(0, *(value & 0xFFFFFF for value in values))
    assert read_all(chip, gain) == [None, *values]
    assert set(chip.conversions) == {{128: 25, 32: 26, 64: 27}[gain]}


def test_a_converter_that_is_not_ready_gives_nothing() -> None:
    """And no pulse is sent: it would shift a value that is being made."""
    chip = Chip(5)
    chip.ready = False
    assert Hx711(chip).read() is None
    assert chip.pulses == 0


def test_a_pulse_that_was_too_long_spoils_the_value() -> None:
    """The chip switched itself off; the next value is of its first channel and is left out too."""
    chip = Chip(0, 1, 2, 3, 4)
    adc = Hx711(chip)
    found = []
    for number in range(5):
        chip.pulse_seconds = 2 * LONGEST_PULSE_SECONDS if number == 2 else 1e-6
        found.append(adc.read())
        chip.settle()
    assert found == [None, 1, None, None, 4]
    assert adc.spoiled == 1


@pytest.mark.parametrize("value", [0x7FFFFF, 0x800000])
def test_a_converter_at_the_end_of_its_scale_is_a_fault(value: int) -> None:
    """A wire is off: that is no weight."""
    with pytest.raises(AdcUnavailable, match="end of its scale"):
        read_all(Chip(0, value))


async def test_a_cell_on_the_converter_sends_kilograms() -> None:
    """Counts by the kilogram, at the time of reading; numbers from where it was."""
    chip, clock = Chip(0, 1500, 0xFFFFFF - 499), Clock()

    @contextmanager
    def opener() -> Iterator[Chip]:
        yield chip

    async def sleep(seconds: float) -> None:
        chip.settle()
        await clock.sleep(seconds)

    source = AdcSource(replace(BASE, adc_counts_per_kg=1000.0), clock, sleep, opener)
    found = await first(source, 2, start=7)
    assert [(one.sequence, one.kilograms) for one in found] == [
        (7, Decimal("1.5")),
        (8, Decimal("-0.5")),
    ]
    with pytest.raises(AdcUnavailable, match="no value for two seconds"):
        await first(AdcSource(BASE, clock, clock.sleep, opener), 1)


def test_the_lines_are_taken_by_libgpiod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data in, clock out and low; without the package, or the chip, one sentence."""
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(AdcUnavailable, match="needs the package gpiod"), open_lines("/dev/x", 5, 6):
        pass
    fake = FakeGpiod()
    monkeypatch.setitem(sys.modules, "gpiod", fake)
    with open_lines("/dev/gpiochip0", 5, 6) as lines:
        assert lines.data()
        assert lines.pulse() >= 0
    assert fake.log == [("in", 5), ("out", 6), (6, 1), (6, 0), "closed"]
    fake.missing = True
    refusal = r"/dev/gpiochip9, lines 5 and 6: .*No such"
    with pytest.raises(AdcUnavailable, match=refusal), open_lines("/dev/gpiochip9", 5, 6):
        pass


class FakeGpiod:
    """As much of libgpiod's bindings as is used."""

    def __init__(self) -> None:
        self.line = SimpleNamespace(
            Value=SimpleNamespace(ACTIVE=1, INACTIVE=0),
            Direction=SimpleNamespace(INPUT="in", OUTPUT="out"),
        )
        self.log: list[Any] = []
        self.missing = False

    def LineSettings(self, direction: str, output_value: int = 0) -> str:  # noqa: N802 - libgpiod's
        assert output_value == 0
        return direction

    def request_lines(self, chip: str, consumer: str, config: dict[int, str]) -> "FakeGpiod":
        if self.missing:
            raise FileNotFoundError(2, "No such file or directory")
        self.log += [(direction, line) for line, direction in config.items()]
        return self

    def get_value(self, line: int) -> int:
        assert line == 5
        return 1

    def set_value(self, line: int, value: int) -> None:
        self.log.append((line, value))

    def __enter__(self) -> "FakeGpiod":
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("closed")


def test_each_source_is_made_by_its_name(tmp_path: Path) -> None:
    """And without a name: a replay where there is a file, a settled load where there is none."""
    path = tmp_path / "rows.csv"
    pairs = [
        (replace(BASE, replay_file=path), ReplaySource, True),
        (BASE, SteadyLoadSource, True),
        (replace(BASE, source="replay", replay_file=path), ReplaySource, True),
        (replace(BASE, source="truck", replay_file=path), TruckSource, False),
        (replace(BASE, source="hx711"), AdcSource, False),
    ]
    for config, kind, lasting in pairs:
        source = make_source(config, asyncio.sleep)
        assert type(source) is kind
        assert source.lasting is lasting


readings = st.integers(1, 40).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(1, 1000), st.decimals(-30_000, 60_000, places=3)),
        min_size=count,
        max_size=count,
    )
)


@given(readings)
def test_a_pack_says_what_its_readings_say(rows: list[tuple[int, Decimal]]) -> None:
    """Kilograms with three decimals and milliseconds, exactly; RFC 8428 in CBOR."""
    time, pack = START, []
    for number, (step, kilograms) in enumerate(rows):
        time += step
        pack.append(Reading(number, time, kilograms))
    found = senml.decode(encode_pack(pack))
    assert [(round(one.time * 1000), Decimal(repr(one.value))) for one in found] == [
        (one.time, one.kilograms) for one in pack
    ]
    assert {one.unit for one in found} == {"kg"}


class Listed:
    """A source with these readings."""

    lasting = False

    def __init__(self, *numbers: int, pause_at: int | None = None) -> None:
        self.numbers, self.pause_at = numbers, pause_at

    async def readings(self, start: int) -> Any:
        for number in self.numbers:
            if number == self.pause_at:
                await asyncio.sleep(0.05)
            yield Reading(start + number, START + 20 * number, Decimal(number), 20.0)


class Packs:
    """Takes packs; fails as it is told."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.packs: list[list[int]] = []
        self.told: list[float | None] = []

    async def send(self, reading: Reading) -> None:
        raise AssertionError("a stream goes in packs")

    async def send_pack(self, readings: list[Reading]) -> None:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.packs.append([one.sequence for one in readings])

    async def send_celsius(self, reading: Reading) -> None:
        self.told.append(reading.celsius)


async def stream(tmp_path: Path, sender: Packs, source: Listed) -> tuple[Stream, list[str], int]:
    config = replace(BASE, position_file=tmp_path / "position", backoff_seconds=0.001)
    position = Position(config.position_file)
    events: list[str] = []
    one = Stream(config, sender, position, lambda event, **_: events.append(event))
    await one.run(source)
    position.close()
    return one, events, position.next


async def test_a_stream_is_sent_in_packs_once(tmp_path: Path) -> None:
    """In order; a gap in the numbers begins a new pack; the temperature goes once."""
    sender = Packs()
    await stream(tmp_path, sender, Listed(*range(10), 12, 13, *range(20, 29)))
    assert [number for pack in sender.packs for number in pack] == [
        *range(10),
        12,
        13,
        *range(20, 29),
    ]
    assert all(pack == list(range(pack[0], pack[0] + len(pack))) for pack in sender.packs)
    assert sender.told == [20.0]


async def test_a_pack_without_an_answer_is_not_sent_again(tmp_path: Path) -> None:
    """Newer readings are worth more; the log says when it was away and when it is back."""
    sender = Packs(SmartBoxAway("x"), SampleRefused("y"))
    one, events, _ = await stream(tmp_path, sender, Listed(*range(12), pause_at=6))
    sent = [number for pack in sender.packs for number in pack]
    assert sent == sorted(set(sent))
    assert one.dropped == 12 - len(sent) > 0
    assert events[0] == "smartbox away"


async def test_a_cell_that_starts_again_repeats_no_number(tmp_path: Path) -> None:
    """It skips those that it had set aside: a repeated number would be a fault."""
    first_sender, second = Packs(), Packs()
    *_, reserved = await stream(tmp_path, first_sender, Listed(*range(5)))
    assert reserved == RESERVED
    await stream(tmp_path, second, Listed(*range(5)))
    assert max(first_sender.packs)[-1] < second.packs[0][0] == RESERVED


async def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """A cell has little memory: the oldest readings go."""
    sender = Packs()
    one, _, _ = await stream(tmp_path, sender, Listed(*range(MAX_WAITING + 50)))
    assert one.dropped == 50
    assert sender.packs[-1][-1] == MAX_WAITING + 49


async def test_a_cell_that_is_stopped_as_its_answer_comes_stops() -> None:
    """The answer and the end come in one turn of the loop: the end is not lost."""
    response: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    client = SimpleNamespace(request=lambda *_, **__: SimpleNamespace(response=response))
    sender = CoapSender(client, BASE)  # type: ignore[arg-type]
    sending = asyncio.create_task(sender.send(Reading(0, START, Decimal(1))))
    await asyncio.sleep(0)
    response.set_result(Message(code=CHANGED))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
