"""What a SmartBox writes, from its first start on, for power_cut.py to cut: run under strace.

Each step that would be told to someone is printed once it is done.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from storage_kit import START, open_storage, receipt, record, weighing

from steelyard.smartbox.alibi.keeping import SEGMENT_MS, YEAR_MS
from steelyard.smartbox.timing import KnownTime

CLOCK = {"boot": "b", "uptime": 1000}


def tell(what: str) -> None:
    os.write(1, what.encode() + b"\n")


def main(directory: Path) -> None:
    storage = open_storage(directory)
    storage.outbox.count_start()
    given = []
    for number in range(3):
        given.append(record(storage, number))
        tell(f"ticket {number} {given[-1]}")
    storage.outbox.mark_sending(given[:2])
    storage.outbox.settle([receipt(one) for one in given[:2]], [(given[2], {"status": 422})])
    for one in given[:2]:
        tell(f"receipt {one}")
    tell(f"refused {given[2]}")
    storage.outbox.set_aside(weighing(3).moment, weighing(3).samples[:1], "silent-cells", "no C2")
    tell("aside 3")
    begin = storage.alibi.segments()[0].made
    storage.tidy(begin + SEGMENT_MS, 1)
    given.append(record(storage, 3, details={"clock": CLOCK}))
    tell(f"ticket 3 {given[-1]}")
    assert storage.set_times(KnownTime(START + 60_000, "b", 1500, "kernel")) == 1
    tell(f"time {given[3]}")
    storage.outbox.dismiss([given[2]], 1, "weighed again")
    tell(f"dismissed {given[2]}")
    storage.close()
    storage = open_storage(directory)
    given.append(record(storage, 4))
    tell(f"ticket 4 {given[-1]}")
    storage.tidy(begin + 3 * SEGMENT_MS + YEAR_MS, 1)
    tell("tidied")
    given.append(record(storage, 5))
    tell(f"ticket 5 {given[-1]}")
    storage.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
