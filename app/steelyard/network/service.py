"""A network of GoQuorum nodes with a Tessera each: started, watched and stopped as processes."""

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from steelyard.network import processes
from steelyard.network.document import document
from steelyard.network.errors import ForeignDirectory, NetworkProblem
from steelyard.network.layout import made_or_reused, nodes_of
from steelyard.network.lock import locked
from steelyard.network.node import Node
from steelyard.network.ports import exposed
from steelyard.network.programs import Programs, find_programs
from steelyard.network.settings import NetworkSettings
from steelyard.network.starting import Report, Starter
from steelyard.network.state import (
    PARTS,
    Part,
    ProcessRecord,
    State,
    read_state,
    write_state,
    write_whole,
)
from steelyard.network.status import NodeStatus, runs, status_of

NETWORK_FILE = "network.json"


class LocalNetwork:
    """The network in a directory; everything about it is there, nothing in this object.

    Methods block, and may be called from any thread; one at a time works on a directory, also
    across processes. As a context manager it is up inside, and down afterwards. A `tethered`
    network ends with the thread that started it, even when that is killed. `abandoned` may be set
    from anywhere, a signal handler too: a start that waits then raises Abandoned, and cleans up.
    """

    def __init__(
        self,
        directory: Path,
        settings: NetworkSettings | None = None,
        *,
        environment: Mapping[str, str] = os.environ,
        tethered: bool = False,
        report: Report | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self._settings = settings or NetworkSettings.load()
        self._environment = environment
        self._tethered = tethered
        self._report = report or _say_nothing
        self._programs: Programs | None = None
        self.abandoned = threading.Event()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def network_file(self) -> Path:
        """The addresses, in the form of docs/architecture.md; there while the network is up."""
        return self.directory / NETWORK_FILE

    @property
    def programs(self) -> Programs:
        """The engines' programs, looked for once. Raises MissingProgram, WrongJava and so on."""
        if self._programs is None:
            self._programs = find_programs(self._settings, self._environment)
        return self._programs

    @property
    def nodes(self) -> list[Node]:
        """The nodes with their addresses, keys and paths. Raises ForeignDirectory, CorruptState."""
        return nodes_of(self.directory, self._state())

    def node(self, name: str) -> Node:
        """A node by its name. Raises NetworkProblem."""
        return _named(self.nodes, name)

    def up(self) -> None:
        """Make the network unless it is there, start what does not run, wait until it lives.

        Afterwards every privacy manager knows every key, every node sees its peers, and blocks
        come (QBFT) or a leader exists (Raft). On any error what this call started is ended again.
        """
        programs = self.programs
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ForeignDirectory(f"{self.directory}: {error.strerror}") from None
        with locked(self.directory):
            state = made_or_reused(self.directory, self._settings)
            nodes = nodes_of(self.directory, state)
            before = _running_parts(nodes)
            starter = self._starter(state, programs)
            try:
                for part in PARTS:
                    starter.start(nodes, part)
                starter.wait_for_life(nodes)
                self._save(state)
            except BaseException:
                self._stop_but(before, state, nodes)
                raise

    def down(self) -> None:
        """End every process, the nodes before the privacy managers. A network at rest stays so."""
        with locked(self.directory):
            state = self._state()
            self._stop(state, nodes_of(self.directory, state), PARTS)
            self.network_file.unlink(missing_ok=True)

    def start(self, name: str, part: Part | None = None) -> None:
        """Start a node, or one part of it, and wait until it answers."""
        with locked(self.directory):
            state = self._state()
            node = _named(nodes_of(self.directory, state), name)
            for one in PARTS:  # one that ended earlier is not what is waited for
                if not runs(node, one):
                    node.record.processes.pop(one, None)
            starter = self._starter(state, self.programs)
            try:
                for one in _chosen(part):
                    starter.start([node], one)
            finally:
                self._save(state)

    def stop(self, name: str, part: Part | None = None) -> None:
        """End a node, or one part of it, in order."""
        with locked(self.directory):
            state = self._state()
            node = _named(nodes_of(self.directory, state), name)
            self._stop(state, [node], _chosen(part))
            self._save(state)

    def restart(self, name: str, part: Part | None = None) -> None:
        """Stop and start."""
        _ = self.programs  # nothing is stopped that could not be started again
        self.stop(name, part)
        self.start(name, part)

    def kill(self, name: str, part: Part) -> None:
        """End one part by SIGKILL: it can do nothing more, as at a power cut."""
        with locked(self.directory):
            state = self._state()
            self._running(state, name, part)
            node = _named(nodes_of(self.directory, state), name)
            self._ask_to_end(state, [node], part)
            processes.kill(node.record.processes.pop(part))
            self._save(state)

    def suspend(self, name: str, part: Part) -> None:
        """Hold a part as it is: its connections stay open, and nothing is answered."""
        processes.send(self._running(self._state(), name, part), signal.SIGSTOP)

    def resume(self, name: str, part: Part) -> None:
        """Let a part that is held go on."""
        processes.send(self._running(self._state(), name, part), signal.SIGCONT)

    def status(self) -> list[NodeStatus]:
        """How every node is now."""
        return [status_of(node) for node in self.nodes]

    def ended(self) -> set[tuple[str, Part]]:
        """Parts, by their node's name, that were started and ended without being asked to."""
        return {
            (node.name, part)
            for node in self.nodes
            for part, record in node.record.processes.items()
            if not record.asked_to_end and not processes.alive(record)
        }

    def exposed_ports(self) -> dict[int, str]:
        """Ports on which this network listens beyond the loopback, and what each is for."""
        purposes = {
            port: f"{what} of {node.name}"
            for node in self.nodes
            for part in PARTS
            if runs(node, part)
            for what, port in node.ports(part).items()
        }
        return {port: purposes[port] for port in sorted(exposed(purposes.keys()))}

    def _state(self) -> State:
        state = read_state(self.directory)
        if state is None:
            raise ForeignDirectory(
                f"{self.directory} holds no network: `steelyard network up` makes one"
            )
        return state

    def _starter(self, state: State, programs: Programs) -> Starter:
        return Starter(
            directory=self.directory,
            state=state,
            programs=programs,
            timeout=self._settings.start_timeout,
            tethered=self._tethered,
            report=self._report,
            abandoned=self.abandoned,
        )

    def _running(self, state: State, name: str, part: Part) -> ProcessRecord:
        node = _named(nodes_of(self.directory, state), name)
        record = node.record.processes.get(part)
        if record is None or not processes.alive(record):
            raise NetworkProblem(f"{part} of {name} does not run")
        return record

    def _stop(self, state: State, nodes: Sequence[Node], parts: Sequence[Part]) -> None:
        for part in reversed(PARTS):
            if part in parts:
                self._ask_to_end(state, nodes, part)
                self._end([n.record.processes[part] for n in nodes if part in n.record.processes])
                for node in nodes:
                    node.record.processes.pop(part, None)
                write_state(self.directory, state)

    def _ask_to_end(self, state: State, nodes: Sequence[Node], part: Part) -> None:
        for node in nodes:
            if part in node.record.processes:
                record = node.record.processes[part]
                asked = record.model_copy(update={"asked_to_end": True})
                node.record.processes[part] = asked
        write_state(self.directory, state)

    def _stop_but(self, kept: set[ProcessRecord], state: State, nodes: Sequence[Node]) -> None:
        """End what a start that failed has started."""
        for part in reversed(PARTS):
            failed = [
                node
                for node in nodes
                if part in node.record.processes and node.record.processes[part] not in kept
            ]
            self._end([node.record.processes.pop(part) for node in failed])
        write_state(self.directory, state)

    def _end(self, records: Sequence[ProcessRecord]) -> None:
        seconds = self._settings.stop_timeout
        if killed := processes.end(records, seconds):
            self._report(f"{killed} processes did not end in {seconds:g} s and were killed")

    def _save(self, state: State) -> None:
        write_state(self.directory, state)
        write_whole(self.network_file, document(state, nodes_of(self.directory, state)))


def _running_parts(nodes: Sequence[Node]) -> set[ProcessRecord]:
    return {node.record.processes[part] for node in nodes for part in PARTS if runs(node, part)}


def _chosen(part: Part | None) -> tuple[Part, ...]:
    return PARTS if part is None else (part,)


def _named(nodes: Sequence[Node], name: str) -> Node:
    for node in nodes:
        if node.name == name:
            return node
    raise NetworkProblem(f"there is no {name}; there are {', '.join(n.name for n in nodes)}")


def _say_nothing(text: str) -> None:
    del text
