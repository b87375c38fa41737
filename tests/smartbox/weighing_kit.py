"""A simulated bridge without a network: trucks, cells, and the bridge that weighs them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from steelyard.loadcell.physics import (
    CellNature,
    Platform,
    Truck,
    forces,
    nature_of,
    raw_values,
)
from steelyard.smartbox.models import Sample
from steelyard.smartbox.settings import WeighbridgeSettings
from steelyard.smartbox.weighing.bridge import Bridge, Weighed
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.planning import make_plan
from steelyard.smartbox.weighing.solver import Observation, solve

START = 1_700_000_000_000
STEP = 100
TRUCK = Truck("T-1", ((0.0, 7_000.0), (3.5, 11_000.0), (5.0, 12_000.0)), 1.6, 8.0, 12.0)


def settings(count: int = 4, **weighing: Any) -> WeighbridgeSettings:
    """A weighbridge of 60 t by 20 kg with cells C0, C1, ..."""
    return WeighbridgeSettings(
        name="wb-1",
        scale_serial="W1",
        scale_interval_grams=20_000,
        max_capacity_grams=60_000_000,
        cells=[{"serial": f"C{number}"} for number in range(count)],
        weighing=weighing,
    )


def certificate_of(nature: CellNature) -> CellFactors:
    """What a cell's certificate says of its nature: right to a tenth, or a seventh for warmth."""
    grid = [nature.dead + nature.capacity * part / 8 for part in range(9)]
    return CellFactors(
        linearity=tuple((value + nature.bent(value), 0.9 * nature.bent(value)) for value in grid),
        zero_per_kelvin=0.85 * nature.zero_per_kelvin,
        span_per_kelvin=0.85 * nature.span_per_kelvin,
    )


def observe(
    platform: Platform, natures: Sequence[CellNature], chance: random.Random
) -> list[Observation]:
    """Known loads: none, 10 t over each cell and in between, then 30 t in the middle."""

    def at(place: str, load: float, along: float, across: float) -> Observation:
        carried = [load * share for share in platform.shares(along, across)]
        means = [
            sum(column) / 20
            for column in zip(
                *(raw_values(carried, natures, 0.0, 0.0, chance) for _ in range(20)), strict=True
            )
        ]
        return Observation(place, load, 20.0, tuple(means))

    rows = [at("none", 0.0, 9.0, 1.5)]
    pairs = platform.cells // 2
    ends = [0.1 + number * (platform.length - 0.2) / (pairs - 1) for number in range(pairs)]
    places = [(along, across) for along in ends for across in (0.1, 2.9)]
    places += [(4.0, 1.5), (14.0, 1.5)]
    rows += [at(f"{along:.1f}, {across:g}", 10_000.0, along, across) for along, across in places]
    rows += [at("middle", 30_000.0, 9.0, 1.5), at("none", 0.0, 9.0, 1.5)]
    return rows


@dataclass
class Rig:
    """A bridge of simulated cells. `spoil` may change a cell's samples before they are sent."""

    count: int = 4
    seed: int = 1
    kelvin: float = 0.0
    ideal: bool = False
    weighing: dict[str, Any] = field(default_factory=dict)
    factors: tuple[CellFactors, ...] | None = None

    def __post_init__(self) -> None:
        self.platform = Platform(self.count)
        self.chance = random.Random(self.seed)  # noqa: S311 - a simulation
        serials = [f"C{number}" for number in range(self.count)]
        self.natures = [
            CellNature(noise=0.5) if self.ideal else nature_of(self.seed, serial)
            for serial in serials
        ]
        if self.factors is None and not self.ideal:
            rows = observe(self.platform, self.natures, self.chance)
            found = [certificate_of(nature) for nature in self.natures]
            self.factors = solve(rows, found, settings(self.count).scale()).factors
        plan = make_plan(settings(self.count, **self.weighing), self.factors)
        self.bridge = Bridge(plan, START)
        self.now = START
        self.sequence = 0
        self.steps: list[str] = []

    def samples(self, carried: Sequence[float], stood: float = 0.0) -> list[Sample]:
        """What the cells send of the forces on them, now."""
        raw = raw_values(carried, self.natures, self.kelvin, stood, self.chance)
        self.sequence += 1
        return [
            Sample(f"C{number}", self.now, self.sequence, Decimal(round(value * 1000)) / 1000)
            for number, value in enumerate(raw)
        ]

    def step(
        self, carried: Sequence[float], stood: float = 0.0, spoil: Any = None
    ) -> list[Weighed]:
        """A tenth of a second."""
        self.now += STEP
        due: list[Weighed] = []
        for number, sample in enumerate(self.samples(carried, stood)):
            self.bridge.warm(sample.cell, 20.0 + self.kelvin)
            shown = spoil(number, sample) if spoil else sample
            if shown is not None:
                due += self.bridge.take(shown, self.now)
        due += self.bridge.tick(self.now)
        self.steps.append(self.bridge.cycle.step.value)
        return due

    def rest(
        self, seconds: float, carried: Sequence[float] = (), spoil: Any = None
    ) -> list[Weighed]:
        """A load that stands there; none by default."""
        load = carried or [0.0] * self.count
        return [one for _ in range(int(seconds * 10)) for one in self.step(load, 0.0, spoil)]

    def drive(self, truck: Truck, spoil: Any = None) -> Iterator[Weighed]:
        """A truck rolls on, stands, and rolls off."""
        for tick in range(int(truck.seconds * 10)):
            time = tick / 10
            load = forces(self.platform, truck, time)
            yield from self.step(load, time - truck.rolls, spoil)
