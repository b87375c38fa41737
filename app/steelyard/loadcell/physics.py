"""A weighbridge and the trucks on it, as its load cells feel them.

Every cell of a bridge computes the same trucks from the same seed, so that cells in processes of
their own agree without a word, as long as their clocks do. Metres, seconds, kilograms; nothing here
keeps a state, what a cell shows at a time follows from the time.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

EDGE_METRES = 0.3  # an axle's tyres roll over the platform's edge within this
SWAY_HZ = 2.2
SWAY_PART = 0.03  # of an axle's load while the truck rolls
SWAY_SECONDS = 0.6  # after which it has fallen to 1/e
CREEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform on pairs of cells: number 0 at its start on the left, 1 on the right, and so on.

    A load between two pairs is carried by these four alone, as on platforms of hinged sections.
    """

    cells: int = 4
    length: float = 18.0
    width: float = 3.0

    def shares(self, along: float, across: float) -> list[float]:
        """Which part of a load at a place each cell carries: 1 in all, 0 off the platform."""
        parts = [0.0] * self.cells
        sections = self.cells // 2 - 1
        place = along / self.length * sections
        section = min(sections - 1, max(0, int(place)))
        ahead, right = place - section, across / self.width
        first = 2 * section
        parts[first] = (1 - ahead) * (1 - right)
        parts[first + 1] = (1 - ahead) * right
        parts[first + 2] = ahead * (1 - right)
        parts[first + 3] = ahead * right
        return parts

    def on_it(self, along: float) -> float:
        """How much of an axle at a place is on the platform, 0 to 1."""
        inside = min(along, self.length - along)
        return min(1.0, max(0.0, 0.5 + inside / EDGE_METRES))


@dataclass(frozen=True, slots=True)
class Truck:
    """A truck: its axles behind the first one (metres, kilograms), how it comes and stands.

    `rolls` is how long it takes to its place, in the platform's middle, and off it again.
    """

    vehicle: str
    axles: tuple[tuple[float, float], ...]
    across: float
    rolls: float
    stands: float

    @property
    def kilograms(self) -> float:
        """Its true weight."""
        return math.fsum(load for _, load in self.axles)

    @property
    def seconds(self) -> float:
        """From its first axle on the edge to the last one off."""
        return 2 * self.rolls + self.stands

    def first_axle(self, time: float, length: float) -> float:
        """Where its first axle is, `time` seconds after it came to the edge."""
        own = self.axles[-1][0]
        middle = (length + own) / 2
        if time < self.rolls:
            left = 1 - time / self.rolls
            return middle * (1 - left * left)
        if time < self.rolls + self.stands:
            return middle
        gone = (time - self.rolls - self.stands) / self.rolls
        return middle + (length + own - middle + 1) * gone * gone

    def sway(self, time: float, axle: int) -> float:
        """By which part an axle's load differs from its weight: springs, until they rest."""
        size = SWAY_PART
        since = time - self.rolls
        if 0 <= since < self.stands:
            size *= math.exp(-since / SWAY_SECONDS)
        return size * math.sin(2 * math.pi * SWAY_HZ * time + 1.3 * axle)


def forces(platform: Platform, truck: Truck, time: float) -> list[float]:
    """What each cell carries of a truck, `time` seconds after it came to the edge."""
    found = [0.0] * platform.cells
    if not 0 <= time <= truck.seconds:
        return found
    front = truck.first_axle(time, platform.length)
    for number, (behind, load) in enumerate(truck.axles):
        along = front - behind
        part = platform.on_it(along)
        if part == 0:
            continue
        weight = load * part * (1 + truck.sway(time, number))
        inside = min(platform.length, max(0.0, along))
        for cell, share in enumerate(platform.shares(inside, truck.across)):
            found[cell] += weight * share
    return found


@dataclass(frozen=True, slots=True)
class CellNature:
    """How a cell differs from an ideal one; kilograms, and parts of one.

    `dead` is what it shows of the empty platform, `gain` what it shows of each kilogram,
    `bend` how much too much it shows at half its `capacity`, `zero_per_kelvin` and
    `span_per_kelvin` how warmth changes it, `creep` how much of a load follows slowly.
    """

    dead: float = 0.0
    gain: float = 1.0
    bend: float = 0.0
    capacity: float = 30_000.0
    zero_per_kelvin: float = 0.0
    span_per_kelvin: float = 0.0
    creep: float = 0.0
    noise: float = 0.0

    def bent(self, value: float) -> float:
        """How many kilograms too many it shows at a value, for want of linearity."""
        part = (value - self.dead) / self.capacity
        return self.bend * 4 * part * (1 - part)

    def shows(self, force: float, kelvin: float, stood: float) -> float:
        """Its raw value under a force, `kelvin` warmer than 20 °C, `stood` seconds after."""
        crept = force * (1 + self.creep * (1 - math.exp(-max(0.0, stood) / CREEP_SECONDS)))
        straight = self.dead + self.gain * crept
        value = straight + self.bent(straight)
        return value * (1 + self.span_per_kelvin * kelvin) + self.zero_per_kelvin * kelvin


def nature_of(seed: int, serial: str) -> CellNature:
    """A cell as it came from the makers and the masons: by chance, always the same."""
    chance = random.Random(f"{seed} nature {serial}")  # noqa: S311 - a simulation
    return CellNature(
        dead=chance.uniform(1200, 1800),
        gain=1.01 * (1 + chance.uniform(-0.015, 0.015)),
        bend=chance.uniform(6, 12),
        zero_per_kelvin=chance.uniform(-0.4, 0.4),
        span_per_kelvin=chance.uniform(10e-6, 25e-6),
        creep=chance.uniform(0, 1e-4),
        noise=1.0,
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """One truck in each slot of `period` seconds, `pause` seconds after the slot's begin."""

    seed: int
    platform: Platform
    period: float = 60.0
    pause: float = 10.0

    def truck(self, slot: int) -> Truck:
        """The truck of a slot."""
        return _truck(self.seed, slot, self.platform.length)

    def forces(self, time: float) -> tuple[list[float], float]:
        """What the cells carry at a time since 1970, and for how long the truck has stood."""
        slot = int(time // self.period)
        truck = self.truck(slot)
        since = time - slot * self.period - self.pause
        return forces(self.platform, truck, since), since - truck.rolls


@lru_cache(maxsize=64)
def _truck(seed: int, slot: int, length: float) -> Truck:
    chance = random.Random(f"{seed} truck {slot}")  # noqa: S311 - a simulation
    count = chance.randint(2, 5)
    gaps = [chance.uniform(1.3, min(5.0, (length - 4) / (count - 1))) for _ in range(count - 1)]
    places = [0.0]
    for gap in gaps:
        places.append(places[-1] + gap)
    whole = chance.uniform(5000, 11_000) * count
    parts = [chance.uniform(0.7, 1.3) for _ in range(count)]
    loads = [whole * part / math.fsum(parts) for part in parts]
    return Truck(
        vehicle=f"SIM-{slot % 10_000:04d}",
        axles=tuple(zip(places, loads, strict=True)),
        across=1.5 + chance.uniform(-0.3, 0.3),
        rolls=chance.uniform(7, 12),
        stands=chance.uniform(14, 20),
    )


def degrees(time: float) -> float:
    """The temperature at a time since 1970: a mild day, coldest before dawn (UTC)."""
    return 15.0 - 12.0 * math.cos(2 * math.pi * (time - 4 * 3600) / 86_400)


def raw_values(
    platform_forces: Sequence[float],
    natures: Sequence[CellNature],
    kelvin: float,
    stood: float,
    chance: random.Random,
) -> list[float]:
    """What all the cells show, each with its noise."""
    return [
        nature.shows(force, kelvin, stood) + chance.gauss(0.0, nature.noise)
        for force, nature in zip(platform_forces, natures, strict=True)
    ]
