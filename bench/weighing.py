"""Simulated trucks weighed many times: errors beside the maximum permissible ones, and faults.

`python bench/weighing.py` prints two tables and exits with 1 when a truck was weighed beyond the
maximum permissible error with every correction, or a faulty cell let a wrong ticket through.
"""

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "smartbox"))

from test_bridge import FAULTS  # noqa: E402 - the tests' faults and rig: what is measured is tested
from weighing_kit import TRUCK, Rig, certificate_of, observe, settings  # noqa: E402

from steelyard.loadcell.physics import Platform, Traffic, nature_of  # noqa: E402
from steelyard.smartbox.models import Sample  # noqa: E402
from steelyard.smartbox.weighing.curve import CellFactors  # noqa: E402
from steelyard.smartbox.weighing.solver import solve  # noqa: E402

BRIDGES = 10
KELVIN = 20.0  # the platform is by so much warmer or colder than at its calibration, at most

Factors = tuple[CellFactors, ...]


def calibrated(seed: int, *, linearity: bool = True) -> Factors:
    """A bridge of its own, calibrated at 20 °C."""
    natures = [nature_of(seed, f"C{number}") for number in range(4)]
    certificates = [certificate_of(nature) for nature in natures]
    if not linearity:
        certificates = [replace(one, linearity=()) for one in certificates]
    rows = observe(Platform(4), natures, random.Random(seed))  # noqa: S311 - a simulation
    return solve(rows, certificates, settings().scale()).factors


def without(**changes: Any) -> Callable[[int], Factors]:
    """A calibration of which something is not used."""
    return lambda seed: tuple(replace(one, **changes) for one in calibrated(seed))


VARIANTS: list[tuple[str, Callable[[int], Factors], dict[str, Any]]] = [
    ("all corrections", calibrated, {}),
    ("without linearity", lambda seed: calibrated(seed, linearity=False), {}),
    ("without temperature", without(zero_per_kelvin=0.0, span_per_kelvin=0.0), {}),
    ("without corner factors", without(corner=1.0), {}),
    ("without span", without(span=1.0), {}),
    ("without zero tracking", calibrated, {"zero_tracking": False}),
    ("without a filter", calibrated, {"filter": "none"}),
    ("degraded, one cell lost", calibrated, {"degraded": True}),
]


@dataclass
class Errors:
    """Errors in kilograms before rounding (R 76-1, 3.5.1), and as parts of the permissible one."""

    kilograms: list[float]
    parts: list[float]
    missed: int

    def row(self, name: str) -> str:
        if not self.kilograms:
            return f"| {name} | 0 | | | | | {self.missed} |"
        within = sum(part <= 1 for part in self.parts) / len(self.parts)
        return (
            f"| {name} | {len(self.kilograms)} | {statistics.fmean(self.kilograms):+.1f} "
            f"| {statistics.pstdev(self.kilograms):.1f} | {max(map(abs, self.kilograms)):.1f} "
            f"| {max(self.parts):.2f} | {within:.1%} | {self.missed} |"
        )


def lose(number: int, sample: Sample) -> Sample | None:
    """The second cell falls silent."""
    return None if number == 1 else sample


def weigh(trucks: int, factors: Callable[[int], Factors], weighing: dict[str, Any]) -> Errors:
    """So many trucks, on several bridges, at temperatures by chance.

    Where the bridge may degrade, one cell is lost once it has its zero.
    """
    spoil = lose if weighing.get("degraded") else None
    errors = Errors([], [], 0)
    scale = settings().scale()
    for seed in range(BRIDGES):
        chance = random.Random(f"kelvin {seed}")  # noqa: S311 - a simulation
        rig = Rig(seed=seed, factors=factors(seed), weighing=weighing)
        traffic = Traffic(seed, Platform(4))
        rig.rest(4)
        rig.rest(6, spoil=spoil)
        for slot in range(-(-trucks // BRIDGES)):
            goal = chance.uniform(-KELVIN, KELVIN)
            # Fast for a platform, but no faster than zero is tracked.
            while abs(goal - rig.kelvin) > 1.0:
                rig.kelvin += 1.0 if goal > rig.kelvin else -1.0
                rig.rest(2, spoil=spoil)
            rig.kelvin = goal
            rig.rest(3, spoil=spoil)
            truck = traffic.truck(slot)
            tickets = list(rig.drive(truck, spoil))
            if len(tickets) != 1:
                errors.missed += 1
            for one in tickets:
                error = one.exact / 1000 - truck.kilograms
                allowed = scale.permissible_error(truck.kilograms * 1000) / 1000
                errors.kilograms.append(error)
                errors.parts.append(abs(error) / allowed)
            rig.rest(3, spoil=spoil)
    return errors


def fault_rows() -> list[tuple[str, float, int, float | None]]:
    """Each fault: seconds until it is named, tickets meanwhile, error in degraded mode."""
    rows = []
    for fault, make_spoil, _ in FAULTS:
        rig, spoil = Rig(seed=5), make_spoil()
        rig.rest(4)
        began, named, tickets = rig.now, None, 0
        for _ in range(80):
            tickets += len(rig.step([0.0] * 4, 0.0, spoil))
            if named is None and rig.bridge.watch.faulty:
                named = (rig.now - began) / 1000
        tickets += len(list(rig.drive(TRUCK, spoil)))
        if named is None:
            named = math.nan  # a stuck cell is found as the others move
        lame, spoil = Rig(seed=5, weighing={"degraded": True}), make_spoil()
        lame.rest(4)
        lame.rest(8, spoil=spoil)
        degraded = [one.exact / 1000 - TRUCK.kilograms for one in lame.drive(TRUCK, spoil)]
        rows.append((fault, named, tickets, degraded[0] if degraded else None))
    return rows


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trucks", type=int, default=1000, help="with every correction")
    parser.add_argument("--others", type=int, default=200, help="without one of them, each")
    options = parser.parse_args()
    began = time.perf_counter()
    print(
        "| corrections | trucks | mean kg | sd kg | worst kg | worst / mpe | within | no ticket |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    fine = True
    for number, (name, factors, weighing) in enumerate(VARIANTS):
        errors = weigh(options.others if number else options.trucks, factors, weighing)
        print(errors.row(name), flush=True)
        fine = fine and (number > 0 or (max(errors.parts) <= 1 and errors.missed == 0))
    print("\n| fault of one cell | named after s | tickets | error in degraded mode, kg |")
    print("| --- | ---: | ---: | ---: |")
    for fault, named, tickets, degraded in fault_rows():
        shown = "as the others move" if math.isnan(named) else f"{named:.1f}"
        estimate = "no ticket" if degraded is None else f"{degraded:+.0f}"
        print(f"| {fault} | {shown} | {tickets} | {estimate} |", flush=True)
        fine = fine and tickets == 0
    print(f"\n{time.perf_counter() - began:.0f} s")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
