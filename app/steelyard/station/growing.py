"""The data partition fills the card: its entry in the partition table, before it is mounted.

The file system within grows when it is mounted (systemd-growfs). A table is written in one sector,
or for GPT in two places, of which either is enough: a power cut leaves the old or the new one.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steelyard.station.blkpg import resize_partition
from steelyard.station.errors import MachineRefuses

# Less than this at the end is left alone: alignment, and the second table of a GPT.
SLACK_BYTES = 8 * 1024 * 1024
_SECTOR = 512
Run = Callable[[Sequence[str], str], str]
Resize = Callable[[Path, int, int, int], None]


def run_program(words: Sequence[str], text: str = "") -> str:
    """Run a program of util-linux. Raises MachineRefuses."""
    try:
        done = subprocess.run(  # noqa: S603 - its own words and a device's path
            words, input=text, capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise MachineRefuses(f"{words[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        told = " ".join(str(error.stderr).split())[-300:]
        raise MachineRefuses(f"{words[0]} failed: {told}") from None
    return done.stdout


def grow(link: Path, run: Run = run_program) -> str | None:
    """Let a partition, or the one that a link is to, fill its disk; what was done.

    Raises MachineRefuses.
    """
    if not link.exists():
        raise MachineRefuses(f"{link}, the data partition, is not there")
    partition = link.resolve()
    disk, number = parent_of(partition.name)
    device = Path("/dev") / disk
    done = grow_partition(device, number, run)
    if done is not None:
        tell_kernel(device, number, run)
    return done


def tell_kernel(
    disk: Path, number: int, run: Run = run_program, resize: Resize = resize_partition
) -> None:
    """Let the kernel know the size of a partition that has grown. Raises MachineRefuses.

    In place: were it removed and added again, what waits for its device would fail.
    """
    table = _table(disk, run)
    sector, own = int(table.get("sectorsize", _SECTOR)), table["partitions"][number - 1]
    resize(disk, number, int(own["start"]) * sector, int(own["size"]) * sector)


def _table(disk: Path, run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(["sfdisk", "--json", str(disk)], ""))["partitiontable"]
    return found


def parent_of(name: str, blocks: Path = Path("/sys/class/block")) -> tuple[str, int]:
    """The disk of a partition, and its number there. Raises MachineRefuses."""
    place = blocks / name
    try:
        number = int((place / "partition").read_text("ascii"))
    except (OSError, ValueError):
        raise MachineRefuses(f"/dev/{name} is no partition") from None
    return place.resolve().parent.name, number


def grow_partition(disk: Path, number: int, run: Run = run_program) -> str | None:
    """Let the last partition reach the disk's end; None where there is nothing to gain.

    Raises MachineRefuses, also for one that is not the last.
    """
    table = _table(disk, run)
    sector = int(table.get("sectorsize", _SECTOR))
    entries = table["partitions"]
    if not 1 <= number <= len(entries):
        raise MachineRefuses(f"{disk} has no partition {number}")
    own = entries[number - 1]
    end = int(own["start"]) + int(own["size"])
    if any(int(one["start"]) > int(own["start"]) for one in entries):
        raise MachineRefuses(f"partition {number} of {disk} is not the last: it cannot grow")
    free = disk_bytes(disk) - end * sector
    if free < SLACK_BYTES:
        return None
    run(
        [
            "sfdisk",
            "--quiet",
            "--force",
            "--no-reread",
            "--no-tell-kernel",
            "-N",
            str(number),
            str(disk),
        ],
        ", +\n",
    )
    return f"partition {number} of {disk} grows by {free // (1024 * 1024)} MiB"


def disk_bytes(disk: Path) -> int:
    """The size of a disk, or of a file that stands for one. Raises MachineRefuses."""
    try:
        with disk.open("rb") as file:
            return file.seek(0, 2)
    except OSError as error:
        raise MachineRefuses(f"{disk}: {error.strerror}") from None
