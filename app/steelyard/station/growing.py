"""The data partition fills the card: its entry in the partition table, before it is mounted.

The file system within grows when it is mounted (systemd-growfs). A table is written in one sector,
or for GPT in two places, of which either is enough: a power cut leaves the old or the new one.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steelyard.station.errors import MachineRefuses

# Less than this at the end is left alone: alignment, and the second table of a GPT.
SLACK_BYTES = 8 * 1024 * 1024
_SECTOR = 512
Run = Callable[[Sequence[str], str], str]


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


def grow(label: str, run: Run = run_program) -> str | None:
    """Let the partition with the file system of this label fill its disk; what was done.

    Raises MachineRefuses.
    """
    device = Path(f"/dev/disk/by-label/{label}")
    if not device.exists():
        raise MachineRefuses(f"there is no file system with the label {label}")
    partition = device.resolve()
    disk, number = parent_of(partition.name)
    done = grow_partition(Path("/dev") / disk, number, run)
    if done is not None:
        # The kernel learns the new size of this one partition; those in use stay as they are.
        run(["partx", "--update", "--nr", str(number), f"/dev/{disk}"], "")
    return done


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
    table: dict[str, Any] = json.loads(run(["sfdisk", "--json", str(disk)], ""))["partitiontable"]
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
