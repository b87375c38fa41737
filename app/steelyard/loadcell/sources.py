"""The sources of a load cell's readings, behind one interface.

`lasting` readings are each delivered until they are taken (a replay). The others are a stream: what
found no answer is not sent again, for newer readings are worth more, and a repeated one is a fault.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from steelyard.loadcell.config import LoadCellConfig
from steelyard.loadcell.errors import AdcUnavailable
from steelyard.loadcell.hx711 import Hx711, Lines, open_lines
from steelyard.loadcell.physics import Platform, Traffic, degrees, nature_of
from steelyard.loadcell.source import MAX_KILOGRAMS, Reading, SimulatedLoad, replay

Clock = Callable[[], int]
Sleep = Callable[[float], Awaitable[None]]

HOUR_MS = 3_600_000
DRIFT_KILOGRAMS_A_SECOND = 20.0
ADC_POLL_SECONDS = 0.002
ADC_SILENCE_SECONDS = 2.0


def now_ms() -> int:
    """The clock: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Source(Protocol):
    """Where readings come from."""

    lasting: bool

    def readings(self, start: int) -> AsyncIterator[Reading]:
        """The readings from number `start` on, each at its time. Raises Problem subclasses."""
        ...


class ReplaySource:
    """The rows of a CSV, one each interval, or as fast as they are taken."""

    lasting = True

    def __init__(self, path: Path, interval: float, sleep: Sleep) -> None:
        self._path, self._interval, self._sleep = path, interval, sleep

    async def readings(self, start: int) -> AsyncIterator[Reading]:
        """See `Source.readings`."""
        loop = asyncio.get_running_loop()
        for reading in replay(self._path, start):
            due = loop.time() + self._interval
            yield reading
            if self._interval:
                await self._sleep(max(0.0, due - loop.time()))


class SteadyLoadSource:
    """A settled load that changes each interval: every reading is one of a weighing."""

    lasting = True

    def __init__(self, load: SimulatedLoad, sleep: Sleep) -> None:
        self._load, self._sleep = load, sleep

    async def readings(self, start: int) -> AsyncIterator[Reading]:
        """See `Source.readings`."""
        for reading in self._load.readings(start):
            await self._sleep(self._load.seconds_until(reading))
            yield reading


class TruckSource:
    """A cell under a platform over which trucks roll; a faulty one on demand."""

    lasting = False

    def __init__(self, config: LoadCellConfig, clock: Clock, sleep: Sleep) -> None:
        self._config, self._clock, self._sleep = config, clock, sleep
        self._nature = nature_of(config.simulated_seed, config.serial)
        self._traffic = Traffic(config.simulated_seed, Platform(config.simulated_cells))

    async def readings(self, start: int) -> AsyncIterator[Reading]:
        """See `Source.readings`."""
        step = max(1, round(self._config.interval_seconds * 1000))
        began = self._clock()
        due = (began // step + 1) * step
        sequence = start
        last: Reading | None = None
        while True:
            await self._sleep(max(0, due - self._clock()) / 1000)
            reading = self.reading(sequence, due)
            faulty = (due - began) / 1000 >= self._config.simulated_fault_after_seconds
            shown = self._spoil(reading, last, due - began) if faulty else reading
            if shown is not None:
                last = shown
                yield shown
            sequence += 1
            # One that was stopped for a while goes on with the present.
            due = max(due + step, self._clock() // step * step)

    def reading(self, sequence: int, time_ms: int) -> Reading:
        """What the healthy cell shows at a time."""
        seconds = time_ms / 1000
        forces, stood = self._traffic.forces(seconds)
        celsius = degrees(seconds)
        chance = random.Random(f"{self._config.simulated_seed} {self._config.serial} {time_ms}")  # noqa: S311 - a simulation
        force = forces[self._config.simulated_cell]
        raw = self._nature.shows(force, celsius - 20, stood) + chance.gauss(0, self._nature.noise)
        return Reading(sequence, time_ms, _kilograms(raw), round(celsius, 1))

    def _spoil(self, reading: Reading, last: Reading | None, since: int) -> Reading | None:
        fault, before = self._config.simulated_fault, last or reading
        beyond = since / 1000 - self._config.simulated_fault_after_seconds
        drift = Decimal(round(DRIFT_KILOGRAMS_A_SECOND * beyond, 3))
        spoiled = {
            "silent": None,
            "stuck": _changed(reading, kilograms=before.kilograms),
            "drifting": _changed(reading, kilograms=reading.kilograms + drift),
            "repeating": _changed(reading, sequence=before.sequence),
            "absurd": _changed(reading, kilograms=Decimal(MAX_KILOGRAMS)),
            "future": _changed(reading, time=reading.time + HOUR_MS),
            "past": _changed(reading, time=reading.time - HOUR_MS),
        }
        return spoiled.get(fault, reading) if fault else reading


def _changed(
    reading: Reading,
    *,
    sequence: int | None = None,
    time: int | None = None,
    kilograms: Decimal | None = None,
) -> Reading:
    return Reading(
        reading.sequence if sequence is None else sequence,
        reading.time if time is None else time,
        reading.kilograms if kilograms is None else kilograms,
        reading.celsius,
    )


class AdcSource:
    """A load cell on an HX711. `opener` gives its lines for as long as they are used."""

    lasting = False

    def __init__(
        self,
        config: LoadCellConfig,
        clock: Clock,
        sleep: Sleep,
        opener: Callable[[], AbstractContextManager[Lines]] | None = None,
    ) -> None:
        self._config, self._clock, self._sleep = config, clock, sleep
        self._opener = opener or (
            lambda: open_lines(config.adc_chip, config.adc_data_line, config.adc_clock_line)
        )

    async def readings(self, start: int) -> AsyncIterator[Reading]:
        """See `Source.readings`: as fast as the converter makes them (10 or 80 a second).

        Raises AdcUnavailable when it gives none for two seconds: it is off, or a wire is.
        """
        sequence = start
        with self._opener() as lines:
            adc = Hx711(lines, self._config.adc_gain)
            heard = self._clock()
            while True:
                value = adc.read()
                if value is not None:
                    heard = self._clock()
                    yield Reading(sequence, heard, self._to_kilograms(value))
                    sequence += 1
                elif self._clock() - heard > ADC_SILENCE_SECONDS * 1000:
                    raise AdcUnavailable("the HX711 has given no value for two seconds")
                await self._sleep(ADC_POLL_SECONDS)

    def _to_kilograms(self, value: int) -> Decimal:
        return _kilograms(value / self._config.adc_counts_per_kg)


def _kilograms(value: float) -> Decimal:
    if not math.isfinite(value) or abs(value) > MAX_KILOGRAMS:
        raise AdcUnavailable("the value is beyond what a sample can say")
    return Decimal(round(value * 1000)) / 1000


def make_source(config: LoadCellConfig, sleep: Sleep, clock: Clock = now_ms) -> Source:
    """The source that the configuration names; else a replay if there is a file for it."""
    kind = config.source or ("replay" if config.replay_file is not None else "steady")
    if kind == "replay" and config.replay_file is not None:
        return ReplaySource(config.replay_file, config.interval_seconds, sleep)
    if kind == "truck":
        return TruckSource(config, clock, sleep)
    if kind == "hx711":
        return AdcSource(config, clock, sleep)
    load = SimulatedLoad(config.serial, config.simulated_seed, config.interval_seconds, clock)
    return SteadyLoadSource(load, sleep)
