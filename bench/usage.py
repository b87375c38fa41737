"""What the processes of a network, and this one, used: processor time and memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from steelyard.network.service import LocalNetwork

CLIENT = "client"


@dataclass(slots=True)
class Usage:
    """Of each process by name: seconds of processor time in a phase, and bytes of memory after it.

    Memory is the proportional set size: what processes share is divided among them.
    """

    tickets: int = 0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    memory_bytes: dict[str, int] = field(default_factory=dict)


def roles(network: LocalNetwork) -> dict[str, str]:
    """What each node is in the benchmark, by its name."""
    names = [node.name for node in network.nodes]
    known = dict(zip(names, ("station", "customer"), strict=False))
    return {name: known.get(name, "stranger") for name in names}


def _processes(network: LocalNetwork) -> dict[str, psutil.Process]:
    role = roles(network)
    found = {
        f"{part} of {node.name} ({role[node.name]})": psutil.Process(record.pid)
        for node in network.nodes
        for part, record in node.record.processes.items()
    }
    return dict(sorted(found.items())) | {CLIENT: psutil.Process(os.getpid())}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def watched(network: LocalNetwork, usage: Usage) -> Iterator[None]:
    """Add to `usage` what is used inside. No process may be started or end meanwhile."""
    processes = _processes(network)
    before = {name: _cpu(process) for name, process in processes.items()}
    yield
    for name, process in processes.items():
        spent = _cpu(process) - before[name]
        usage.cpu_seconds[name] = usage.cpu_seconds.get(name, 0.0) + spent
        usage.memory_bytes[name] = process.memory_full_info().pss
