"""Watching the nodes that the tickets lie at: for the metrics, and for readiness."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from steelyard.errors import Problem
from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.protocol import Ledger, NodeHealth, NodeRef

logger = structlog.get_logger(__name__)

NodeSource = Callable[[], Awaitable[Mapping[str, NodeRef | None]]]

ASKING_SECONDS = 4.5  # so long a node may take; shorter than a readiness check
ASKED_AT_ONCE = 16
_STALE_ROUNDS = 5
_ABSENT = NodeHealth(node_up=False, privacy_manager_up=False, block_number=None)


class NodeGauges:
    """What is known of the nodes, by name."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._head = -1
        self._head_seen = clock()
        label = ("node",)
        self._node_up = Gauge(
            "steelyard_ledger_node_up",
            "1 when the ledger node answered the last time that it was asked, else 0.",
            label,
            registry=registry,
        )
        self._privacy_manager_up = Gauge(
            "steelyard_ledger_privacy_manager_up",
            "1 when the node's privacy manager answered the last time that it was asked, else 0.",
            label,
            registry=registry,
        )
        self._block = Gauge(
            "steelyard_ledger_node_block",
            "The number of the node's newest block when it last answered.",
            label,
            registry=registry,
        )
        age = Gauge(
            "steelyard_ledger_head_age_seconds",
            "Time since a node first told of the newest block that is known.",
            registry=registry,
        )
        age.set_function(lambda: self._clock() - self._head_seen)
        self._names: set[str] = set()

    def note(self, healths: Mapping[str, NodeHealth]) -> None:
        """Show one round's answers, and nothing of nodes that are no longer there."""
        for name, health in healths.items():
            self._node_up.labels(name).set(health.node_up)
            self._privacy_manager_up.labels(name).set(health.privacy_manager_up)
            if health.block_number is not None:
                self._block.labels(name).set(health.block_number)
        for name in self._names - healths.keys():
            for gauge in (self._node_up, self._privacy_manager_up, self._block):
                with contextlib.suppress(KeyError):  # it may never have told of a block
                    gauge.remove(name)
        self._names = set(healths)
        heads = [one.block_number for one in healths.values() if one.block_number is not None]
        # Lower as well: a chain that was made anew begins at its first block.
        if heads and max(heads) != self._head:
            self._head, self._head_seen = max(heads), self._clock()


class NodeWatch:
    """Asks every node for a sign of life, every `pause` seconds while it runs.

    Why readiness asks for one node only: docs/decisions/tickets-readiness.md.
    """

    def __init__(
        self,
        nodes: NodeSource,
        ledger: Ledger,
        registry: CollectorRegistry,
        *,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = nodes
        self._ledger = ledger
        self._pause = pause
        self._clock = clock
        self._gauges = NodeGauges(registry, clock)
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE)
        self._answered = asyncio.Event()
        self._healths: Mapping[str, NodeHealth] = {}
        self._looked = clock()

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """A cleanup context: watch while the application runs."""
        task = asyncio.create_task(self._run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def check(self) -> None:
        """Raise NodeUnavailable when there are nodes and none answers, or nobody has looked."""
        await self._answered.wait()
        if self._clock() - self._looked > _STALE_ROUNDS * (self._pause + ASKING_SECONDS):
            raise NodeUnavailable("The nodes were not asked for too long")
        if self._healths and not any(health.node_up for health in self._healths.values()):
            raise NodeUnavailable("No ledger node answers")

    async def look(self) -> None:
        """Ask every node once. Raises what the store raises."""
        nodes = await self._nodes()
        found = await asyncio.gather(*(self._ask(node) for node in nodes.values()))
        healths = dict(zip(nodes, found, strict=True))
        self._tell_changes(healths)
        self._gauges.note(healths)
        self._healths, self._looked = healths, self._clock()
        self._answered.set()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Problem as problem:
                logger.warning("nodes not asked", reason=problem.detail or problem.title)
            except Exception as error:  # noqa: BLE001 - the watch outlives whatever goes wrong once
                logger.warning("nodes not asked", error=type(error).__name__)
            await asyncio.sleep(self._pause)

    async def _ask(self, node: NodeRef | None) -> NodeHealth:
        if node is None:
            return _ABSENT
        async with self._slots:
            try:
                async with asyncio.timeout(ASKING_SECONDS):
                    return await self._ledger.health(node)
            except (TimeoutError, Problem):
                return _ABSENT

    def _tell_changes(self, healths: Mapping[str, NodeHealth]) -> None:
        for name, health in healths.items():
            before = self._healths.get(name)
            now = (health.node_up, health.privacy_manager_up)
            if before is None and all(now):
                continue
            if before is None or now != (before.node_up, before.privacy_manager_up):
                up = logger.info if all(now) else logger.warning
                up("node changed", node=name, node_up=now[0], privacy_manager_up=now[1])
