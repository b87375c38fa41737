"""What is known of a group of machines, in `group.json`: another process can end them by it."""

from pathlib import Path

from pydantic import BaseModel

from infra.machines.errors import MachineProblem
from steelyard.network.state import ProcessRecord

_FILE = "group.json"


class MachineRecord(BaseModel):
    """One machine, and the processes that are it while it runs."""

    name: str
    address: str
    root: str
    control_group: str
    nspawn: ProcessRecord | None = None
    leader: ProcessRecord | None = None
    way_out: ProcessRecord | None = None


class GroupRecord(BaseModel):
    """All machines of a group and their bridge."""

    group: str
    bridge: str
    own_address: str
    prefix: int
    machines: list[MachineRecord] = []


def read_group(directory: Path) -> GroupRecord | None:
    """The group in this directory, or None. Raises MachineProblem for a file that is none."""
    path = directory / _FILE
    try:
        return GroupRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise MachineProblem(f"{path} is no record of machines") from None


def write_group(directory: Path, record: GroupRecord) -> None:
    """Keep the record, in one step."""
    path = directory / _FILE
    scratch = path.with_suffix(".new")
    scratch.write_text(record.model_dump_json(indent=2) + "\n", "utf-8")
    scratch.replace(path)


def forget_group(directory: Path) -> None:
    """Remove the record."""
    (directory / _FILE).unlink(missing_ok=True)
