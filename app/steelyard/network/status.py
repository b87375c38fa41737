"""How a network is now."""

from dataclasses import dataclass

from steelyard.network import probe, processes
from steelyard.network.node import Node
from steelyard.network.state import PARTS, Part


@dataclass(frozen=True, slots=True)
class PartStatus:
    """A part of a node: its process id while it runs, else None; and a word for a reader."""

    part: Part
    pid: int | None
    state: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node as it is now. `head` and `peers` are None while it does not answer."""

    node: Node
    parts: tuple[PartStatus, ...]
    head: int | None
    peers: int | None

    @property
    def runs(self) -> bool:
        """Whether both parts run and the node answers."""
        return self.head is not None and all(part.pid is not None for part in self.parts)


def status_of(node: Node) -> NodeStatus:
    """Look at a node's processes, and ask it."""
    parts = tuple(_part(node, part) for part in PARTS)
    try:
        return NodeStatus(node, parts, probe.head(node), probe.peers(node))
    except probe.Unanswered:
        return NodeStatus(node, parts, None, None)


def runs(node: Node, part: Part) -> bool:
    """Whether the process that was started as this part is there."""
    record = node.record.processes.get(part)
    return record is not None and processes.alive(record)


def _part(node: Node, part: Part) -> PartStatus:
    record = node.record.processes.get(part)
    if record is None:
        return PartStatus(part, None, "stopped")
    if processes.alive(record):
        return PartStatus(part, record.pid, "runs")
    return PartStatus(part, None, "stopped" if record.asked_to_end else "ended by itself")
