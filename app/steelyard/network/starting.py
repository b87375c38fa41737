"""Starts the parts of nodes, and waits until they live."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.network import probe, processes
from steelyard.network.configuration import (
    geth_command,
    geth_environment,
    tessera_configuration,
    write_configuration,
)
from steelyard.network.errors import (
    Abandoned,
    EngineEnded,
    PortOccupied,
    StartTimeout,
    UnfitTessera,
)
from steelyard.network.layout import GENESIS_FILE, nodes_of
from steelyard.network.node import Node
from steelyard.network.ports import is_free
from steelyard.network.programs import Programs
from steelyard.network.state import PARTS, Part, ProcessRecord, State, write_state
from steelyard.network.status import runs

_POLL_SECONDS = 0.25
_BLOCKS = 2  # the first may have been prepared before everybody was there
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Starter:
    """Works on the state of one directory, which its caller has locked.

    `timeout` is for each step, in seconds. `abandoned` ends every wait, by raising Abandoned.
    """

    directory: Path
    state: State
    programs: Programs
    timeout: float
    tethered: bool
    report: Report
    abandoned: threading.Event

    def start(self, nodes: Sequence[Node], part: Part) -> None:
        """Start a part of each node where it does not run, and wait until it answers.

        Raises PortOccupied before anything is started; EngineEnded, StartTimeout, UnfitTessera.
        """
        idle = [node for node in nodes if not runs(node, part)]
        for node in idle:
            node.record.processes.pop(part, None)
            for what, port in node.ports(part).items():
                if not is_free(port):
                    raise PortOccupied(
                        f"port {port} ({what} of {node.name}) is in use by another process"
                    )
        everyone = nodes_of(self.directory, self.state)
        for node in idle:
            write_configuration(node, everyone, self.programs.tessera)
            record = self._geth(node) if part == "geth" else self._tessera(node)
            node.record.processes[part] = record
            write_state(self.directory, self.state)  # at once: what runs must be found again
        if part == "geth":
            self._until(nodes, "nodes answer", lambda node: probe.head(node) >= 0)
        else:
            self._until(nodes, "privacy managers are up", probe.privacy_manager_is_up)
            _check_versions(nodes)

    def wait_for_life(self, nodes: Sequence[Node]) -> None:
        """Until the nodes have found each other, blocks or a leader are there, and keys known."""
        others = len(nodes) - 1
        self._until(nodes, "nodes see their peers", lambda node: probe.peers(node) >= others)
        if self.state.choices.consensus == "raft":
            self._until(nodes, "a leader exists", lambda node: bool(probe.raft_leader(node)))
        else:
            self._wait_for_blocks(nodes)
        every = {node.tessera_public_key for node in nodes}

        def knows_all(node: Node) -> bool:
            known = probe.known_keys(node)
            return known is None or known >= every

        self._until(nodes, "every privacy manager knows every key", knows_all)

    def _wait_for_blocks(self, nodes: Sequence[Node]) -> None:
        choices = self.state.choices
        heads: list[int] = []

        def moved(node: Node) -> bool:
            heads.append(probe.head(node))
            return heads[-1] >= heads[0] + _BLOCKS

        period = max(choices.block_period, choices.empty_block_period)
        self._until(nodes, "blocks come", moved, extra=(_BLOCKS + 1) * period)

    def _tessera(self, node: Node) -> ProcessRecord:
        node.socket.unlink(missing_ok=True)
        heap, java, tessera = self.state.choices.heap, self.programs.java, self.programs.tessera
        return processes.spawn(
            tessera.command(java, heap, tessera_configuration(node)),
            node.log("tessera"),
            directory=node.tessera_directory,
            environment=tessera.environment(java, heap),
            tethered=self.tethered,
        )

    def _geth(self, node: Node) -> ProcessRecord:
        if not (node.geth_directory / "geth" / "chaindata").exists():
            _initialise(self.programs.geth, node, self.directory / GENESIS_FILE)
        return processes.spawn(
            geth_command(self.programs.geth, node, self.state.choices),
            node.log("geth"),
            directory=node.directory,
            environment=geth_environment(node),
            tethered=self.tethered,
        )

    def _until(
        self, nodes: Sequence[Node], what: str, holds: Callable[[Node], bool], extra: float = 0
    ) -> None:
        started = time.monotonic()
        waiting = list(nodes)
        while True:
            _check(nodes)
            waiting = [node for node in waiting if not _answers(holds, node)]
            seconds = time.monotonic() - started
            if not waiting:
                self.report(f"{what} ({seconds:.1f} s)")
                return
            if seconds > self.timeout + extra:
                names = ", ".join(node.name for node in waiting)
                raise StartTimeout(
                    f"{what}: not so at {names} after {self.timeout + extra:g} s; the logs are in "
                    f"{self.directory}"
                )
            if self.abandoned.wait(_POLL_SECONDS):
                raise Abandoned("stopped before the network was up")


def _answers(holds: Callable[[Node], bool], node: Node) -> bool:
    try:
        return holds(node)
    except probe.Unanswered:
        return False


def _check_versions(nodes: Sequence[Node]) -> None:
    """Raise UnfitTessera where a node would take its privacy manager for another program.

    GoQuorum does so without a word, and then refuses every private transaction.
    """
    for node in nodes:
        if _answers(probe.lacks_version, node):
            raise UnfitTessera(
                f"the Tessera of {node.name} does not tell its version (/version): GoQuorum takes "
                "it for a Constellation, and refuses every private transaction; its jars lack the "
                "version in their manifests"
            )


def _check(nodes: Sequence[Node]) -> None:
    """Raise EngineEnded if a process that was started is there no more."""
    for node in nodes:
        for part in PARTS:
            record = node.record.processes.get(part)
            if record is not None and not processes.alive(record):
                how = f"{part} of {node.name} {processes.fate(record)} during the start"
                raise EngineEnded(with_log(how, node.log(part), record.log_offset))


def _initialise(geth: Path, node: Node, genesis: Path) -> None:
    """Write block 0. Raises EngineEnded."""
    command = [str(geth), "--datadir", str(node.geth_directory), "init", str(genesis)]
    log = node.directory / "geth-init.log"
    with log.open("wb") as output:
        status = subprocess.run(  # noqa: S603 - the operator's own program
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
    if status != 0:
        # Half of a chain would be taken for a whole one the next time.
        shutil.rmtree(node.geth_directory / "geth" / "chaindata", ignore_errors=True)
        raise EngineEnded(with_log(f"geth init of {node.name} ended with status {status}", log))


def with_log(sentence: str, log: Path, offset: int = 0) -> str:
    """A sentence, and below it the last lines that a log got after a position."""
    lines = processes.log_end(log, offset)
    if not lines:
        return f"{sentence}, and wrote nothing to {log}"
    return "\n    ".join([f"{sentence}; the end of {log}:", *lines])
