"""A bridge's samples of many hours in as short a time as it takes; prints the memory meanwhile.

A process of its own, started by stations.py: `soak.py HOURS RATE`. Each line: hours, RSS in bytes,
tickets so far, processor seconds.
"""

import random
import sys
import time
from decimal import Decimal
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "smartbox"))

from weighing_kit import settings  # noqa: E402 - the tests' weighbridge

from steelyard.smartbox.models import Sample  # noqa: E402
from steelyard.smartbox.weighing.bridge import Bridge  # noqa: E402
from steelyard.smartbox.weighing.planning import make_plan  # noqa: E402

START_MS = 1_600_000_000_000
TRUCK_EVERY, TRUCK_STAYS = 300, 40  # seconds
SHOWN = 24


def main() -> None:
    """Feed the samples: a truck every five minutes, noise of some kilograms on each cell."""
    hours, rate = float(sys.argv[1]), float(sys.argv[2])
    bridge = Bridge(make_plan(settings(rate_hz=rate)), START_MS)
    chance = random.Random(1)  # noqa: S311 - noise
    process = psutil.Process()
    count = round(hours * 3600 * rate)
    tickets = 0
    for number in range(count):
        now = START_MS + round(number * 1000 / rate)
        second = now // 1000 % TRUCK_EVERY
        load = 7500.0 if 100 <= second < 100 + TRUCK_STAYS else 0.0
        for serial in bridge.plan.serials:
            raw = Decimal(round((load + chance.gauss(0, 0.5)) * 1000)) / 1000
            tickets += len(list(bridge.take(Sample(serial, now, number, raw), now)))
        if (number + 1) % max(1, count // SHOWN) == 0:
            elapsed = (number + 1) / rate / 3600
            print(elapsed, process.memory_info().rss, tickets, time.process_time(), flush=True)


if __name__ == "__main__":
    main()
