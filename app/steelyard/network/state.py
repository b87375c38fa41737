"""What a directory knows of its network: state.json, read and written whole."""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.network.errors import CorruptState
from steelyard.network.settings import Consensus

STATE_FILE = "state.json"
Part = Literal["tessera", "geth"]
# As they are started; they are stopped the other way round.
PARTS: tuple[Part, ...] = ("tessera", "geth")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProcessRecord(_Record):
    """A process and no other: its id, when it was started (clock ticks since the boot), the boot.

    `log_offset` is where its output starts in its log; `asked_to_end` is set before it is stopped,
    so that a watcher does not take its end for a failure.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int = Field(gt=1)
    started: int = Field(gt=0)
    boot: str
    log_offset: int = Field(default=0, ge=0)
    asked_to_end: bool = False


class NodeRecord(_Record):
    """A node with its privacy manager: public keys, ports, and the processes that were started."""

    name: str = Field(pattern=r"^node-[0-9]+$")
    address: str = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    identity: str = Field(pattern=r"^[0-9a-f]{128}$")
    public_key: str
    rpc_port: int
    peer_port: int
    third_party_port: int
    privacy_port: int
    raft_port: int
    processes: dict[Part, ProcessRecord] = Field(default_factory=dict)


class Choices(_Record):
    """What was chosen at the first start. The first five lines are in the genesis for good.

    `validators` is 0 where all nodes vote, as in directories that were made before it was there.
    """

    consensus: Consensus
    chain_id: int
    block_period: int
    empty_block_period: int
    validators: int = 0
    raft_block_time: int
    recommit: str
    heap: int


class State(_Record):
    """The whole file. `genesis` is the SHA-256 of genesis.json."""

    version: Literal[1] = 1
    choices: Choices
    genesis: str
    nodes: list[NodeRecord] = Field(min_length=1)


def read_state(directory: Path) -> State | None:
    """The state, or None where there is none. Raises CorruptState: the file and what is wrong."""
    path = directory / STATE_FILE
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise CorruptState(f"{directory} is not a directory") from None
    except OSError as error:
        raise CorruptState(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise CorruptState(f"{path} is not a network's state: {what}") from None


def write_state(directory: Path, state: State) -> None:
    """Replace the file."""
    write_whole(directory / STATE_FILE, state.model_dump(mode="json"))


def write_whole(path: Path, document: dict[str, Any]) -> None:
    """Write JSON so that a reader, and a power cut, see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
