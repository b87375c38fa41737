"""Outages of an engine's parts, the same for the sandbox and for processes of the real one."""

import asyncio
import time
from typing import Protocol

from real_engines import make_whole
from steelyard.network import probe
from steelyard.network.errors import NetworkProblem
from steelyard.network.service import LocalNetwork
from steelyard.sandbox.consortium import Consortium


class Outages(Protocol):
    """Nodes are named as the engine names them; what was ended is started again by `start`."""

    async def halt(self) -> None:
        """No blocks come; the first node still takes transactions."""

    async def resume(self) -> None:
        """Blocks come again."""

    async def kill_node(self, name: str, *, lose_pool: bool = False) -> None:
        """The node dies; `lose_pool` takes its journal of waiting transactions away."""

    async def kill_manager(self, name: str) -> None:
        """The privacy manager dies."""

    async def power_cut(self) -> None:
        """Every node dies at once, and runs again."""

    async def start(self, name: str) -> None:
        """Both run again, it knows the others and their blocks, and they know it."""


class SandboxOutages:
    """Outages that the consortium in this process makes on demand."""

    def __init__(self, consortium: Consortium) -> None:
        self._consortium = consortium

    async def halt(self) -> None:
        self._consortium.halt_blocks()

    async def resume(self) -> None:
        self._consortium.resume_blocks()

    async def kill_node(self, name: str, *, lose_pool: bool = False) -> None:
        await self._consortium.node_down(name)
        if lose_pool:
            self._consortium.lose_pool(name)

    async def kill_manager(self, name: str) -> None:
        await self._consortium.privacy_manager_down(name)

    async def power_cut(self) -> None:
        names = [member.node.name for member in self._consortium.members]
        for name in names:
            await self._consortium.node_down(name)
        for name in names:
            await self._consortium.node_up(name)

    async def start(self, name: str) -> None:
        await self._consortium.privacy_manager_up(name)
        await self._consortium.node_up(name)


class RealOutages:
    """Processes are killed by SIGKILL, held by SIGSTOP, and started again."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network

    async def halt(self) -> None:
        """Two of three validators stand still, so that there is no quorum."""
        for node in self._network.nodes[1:]:
            await asyncio.to_thread(self._network.suspend, node.name, "geth")

    async def resume(self) -> None:
        for node in self._network.nodes[1:]:
            await asyncio.to_thread(self._network.resume, node.name, "geth")

    async def kill_node(self, name: str, *, lose_pool: bool = False) -> None:
        await asyncio.to_thread(self._network.kill, name, "geth")
        if lose_pool:
            journal = self._network.node(name).geth_directory / "geth" / "transactions.rlp"
            journal.unlink()

    async def kill_manager(self, name: str) -> None:
        await asyncio.to_thread(self._network.kill, name, "tessera")

    async def power_cut(self) -> None:
        for node in self._network.nodes:
            await asyncio.to_thread(self._network.kill, node.name, "geth")
        await asyncio.to_thread(self._network.up)

    async def start(self, name: str) -> None:
        await asyncio.to_thread(self._start, name)

    def _start(self, name: str, seconds: float = 120) -> None:
        """As a supervisor does: a geth may end once more while its Tessera starts."""
        until = time.monotonic() + seconds
        while True:
            try:
                self._network.start(name)
                if self._is_back(name):
                    return
            except (NetworkProblem, probe.Unanswered):
                if time.monotonic() > until:
                    raise
            time.sleep(0.25)

    def _is_back(self, name: str) -> bool:
        nodes = self._network.nodes
        heads = [probe.head(node) for node in nodes]
        keys = {node.tessera_public_key for node in nodes}
        return probe.head(self._network.node(name)) >= max(heads) and all(
            (probe.known_keys(node) or set()) >= keys for node in nodes
        )


def mend(network: LocalNetwork) -> None:
    """Whatever a test left: what was held goes on, everything runs, blocks come, keys are known."""
    for node in network.nodes:
        for part in ("geth", "tessera"):
            try:
                network.resume(node.name, part)
            except NetworkProblem:  # it does not run: it is started
                continue
    make_whole(network)
