"""What tickets leave on the disks of a network."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from figures import directory_bytes
from steelyard.network.configuration import tessera_configuration
from steelyard.network.errors import NetworkProblem
from steelyard.network.node import Node
from steelyard.network.programs import Programs
from steelyard.network.service import LocalNetwork
from usage import roles

Sizes = Mapping[str, float]  # bytes by "part, role"; of the strangers their mean
_H2_SHELL = "org.h2.tools.Shell"


def settled(network: LocalNetwork) -> Sizes:
    """What every node's and privacy manager's directory occupies when nothing is left to tidy.

    A node writes what it kept in memory when it stops. Then both databases are compacted, as they
    would be in time: what earlier phases left behind would else come and go between two looks.
    The network is started again before it is measured, as only that removes the old tables.
    """
    network.down()
    for node in network.nodes:
        _compact(network.programs, node)
    network.up()
    role = roles(network)
    found: dict[str, list[int]] = {}
    for node in network.nodes:
        directories = {"geth": node.geth_directory, "tessera": node.tessera_directory}
        for part, directory in directories.items():
            found.setdefault(f"{part}, {role[node.name]}", []).append(directory_bytes(directory))
    return {name: mean(sizes) for name, sizes in sorted(found.items())}


def _compact(programs: Programs, node: Node) -> None:
    """Compact the databases of a node that is down. Raises NetworkProblem."""
    _done([programs.geth, "db", "compact", "--datadir", node.geth_directory])
    program = programs.tessera.program
    lib = program.resolve().parent.parent / "lib" / "*"
    path = program if programs.tessera.uber_jar else lib
    database = json.loads(tessera_configuration(node).read_text("utf-8"))["jdbc"]
    login = ["-url", database["url"], "-user", database["username"], "-password", ""]
    # The shell ends with 0, and complains that the database is closed, which is what it was told.
    statement = ["-sql", "SHUTDOWN COMPACT"]
    _done([programs.java.path, "-cp", path, _H2_SHELL, *login, *statement])


def _done(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NetworkProblem(f"{Path(command[0]).name} could not compact: {' '.join(last)}")


@dataclass(frozen=True, slots=True)
class Growth:
    """Sizes before and after tickets, and how many blocks came meanwhile."""

    tickets: int
    blocks: int
    before: Sizes
    after: Sizes

    def bytes_a_ticket(self) -> dict[str, float]:
        """The growth for each ticket; that of the blocks, empty ones too, is in it."""
        return {name: (self.after[name] - self.before[name]) / self.tickets for name in self.after}
