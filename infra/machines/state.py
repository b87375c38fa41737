"""What is known of a group of machines, in `group.json`: another process can end them by it."""

import json
import os
import signal as signals
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.machines.errors import MachineProblem

_FILE = "group.json"


@dataclass(slots=True)
class MachineRecord:
    """One machine. `nspawn`, `leader` and `way_out` are processes, with their start times."""

    name: str
    address: str
    root: str
    control_group: str
    nspawn: tuple[int, int] | None = None
    leader: tuple[int, int] | None = None
    way_out: tuple[int, int] | None = None


@dataclass(slots=True)
class GroupRecord:
    """All machines of a group and their bridge."""

    group: str
    bridge: str
    own_address: str
    prefix: int
    machines: list[MachineRecord] = field(default_factory=list)


def read_group(directory: Path) -> GroupRecord | None:
    """The group in this directory, or None. Raises MachineProblem for a file that is none."""
    path = directory / _FILE
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise MachineProblem(f"{path} is no record of machines") from None
    machines = [
        MachineRecord(
            **one | {kind: _process(one[kind]) for kind in ("nspawn", "leader", "way_out")}
        )
        for one in document.pop("machines")
    ]
    return GroupRecord(**document, machines=machines)


def _process(value: list[int] | None) -> tuple[int, int] | None:
    return None if value is None else (value[0], value[1])


def write_group(directory: Path, record: GroupRecord) -> None:
    """Keep the record, in one step."""
    path = directory / _FILE
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(asdict(record), indent=2) + "\n", "utf-8")
    scratch.replace(path)


def forget_group(directory: Path) -> None:
    """Remove the record."""
    (directory / _FILE).unlink(missing_ok=True)


def identify(process: int) -> tuple[int, int] | None:
    """A process with its start time, which tells it from a later one of the same number."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("ascii")
    except (OSError, ValueError):
        return None
    return process, int(text.rpartition(")")[2].split()[19])


def is_alive(known: tuple[int, int] | None) -> bool:
    """Whether that very process runs; a zombie does not."""
    if known is None or identify(known[0]) != tuple(known):
        return False
    text = Path(f"/proc/{known[0]}/stat").read_text("ascii")
    return text.rpartition(")")[2].split()[0] not in {"Z", "X"}


def signal(known: tuple[int, int] | None, number: int) -> None:
    """Signal that very process, if it still runs."""
    if known is None:
        return
    try:
        handle = os.pidfd_open(known[0])
    except ProcessLookupError:
        return
    try:
        if is_alive(known):
            signals.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
