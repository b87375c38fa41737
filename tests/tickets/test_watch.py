"""The watch over the nodes: what the metrics and readiness say of them."""

import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fakes import FakeLedger
from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.protocol import NodeHealth, NodeRef
from steelyard.tickets.watch import NodeWatch
from tickets_world import World

UP = NodeHealth(node_up=True, privacy_manager_up=True, block_number=7)
DOWN = NodeHealth(node_up=False, privacy_manager_up=False, block_number=None)


def ref(name: str) -> NodeRef:
    return NodeRef(name, "http://node.test", "http://tessera.test", f"key-{name}")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class HealthLedger(FakeLedger):
    """A ledger whose nodes are as the test says; None never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.healths: dict[str, NodeHealth | None] = {}

    async def health(self, node: NodeRef) -> NodeHealth:
        found = self.healths[node.name]
        if found is None:
            await asyncio.Event().wait()
        return found


@dataclass
class Watched:
    """A watch over nodes that a test changes."""

    ledger: HealthLedger = field(default_factory=HealthLedger)
    nodes: dict[str, NodeRef | None] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.watch = NodeWatch(self._nodes, self.ledger, self.registry, pause=1.0, clock=self.clock)

    async def _nodes(self) -> dict[str, NodeRef | None]:
        return dict(self.nodes)

    async def look(self, **healths: NodeHealth | None) -> None:
        self.ledger.healths = healths
        self.nodes = {name: ref(name) for name in healths}
        await self.watch.look()

    def metric(self, name: str, node: str | None = None) -> float | None:
        labels = {} if node is None else {"node": node}
        return self.registry.get_sample_value(f"steelyard_ledger_{name}", labels)


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_one_customers_node_being_away_shows_in_the_metrics_only(watched: Watched) -> None:
    """The platform stays ready for everybody else."""
    await watched.look(a=UP, b=DOWN)
    await watched.watch.check()
    assert watched.metric("node_up", "a") == 1
    assert watched.metric("node_up", "b") == 0
    assert watched.metric("privacy_manager_up", "b") == 0
    assert watched.metric("node_block", "a") == 7


async def test_a_node_without_its_privacy_manager_is_told_apart(watched: Watched) -> None:
    """The node is up, and its privacy manager is not."""
    await watched.look(a=NodeHealth(node_up=True, privacy_manager_up=False, block_number=7))
    assert watched.metric("node_up", "a") == 1
    assert watched.metric("privacy_manager_up", "a") == 0


async def test_no_node_at_all_answers(watched: Watched) -> None:
    """Then, and until one answers again, the platform is not ready."""
    await watched.look(a=DOWN, b=DOWN)
    with pytest.raises(NodeUnavailable):
        await watched.watch.check()
    await watched.look(a=DOWN, b=UP)
    await watched.watch.check()


async def test_a_platform_without_nodes_is_ready(watched: Watched) -> None:
    """A new platform has none yet."""
    await watched.look()
    await watched.watch.check()


async def test_a_node_whose_addresses_do_not_open_counts_as_down(watched: Watched) -> None:
    """The vault's refusal does not end the watch."""
    watched.nodes = {"a": None}
    await watched.watch.look()
    assert watched.metric("node_up", "a") == 0
    with pytest.raises(NodeUnavailable):
        await watched.watch.check()


async def test_a_node_that_does_not_answer_holds_up_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after a time, and the others are shown as they are."""
    monkeypatch.setattr("steelyard.tickets.watch.ASKING_SECONDS", 0.01)
    await watched.look(a=None, b=UP)
    assert watched.metric("node_up", "a") == 0
    assert watched.metric("node_up", "b") == 1


async def test_a_node_that_is_gone_is_shown_no_more(watched: Watched) -> None:
    """Its last state would be told for ever otherwise."""
    await watched.look(a=UP, b=DOWN)
    await watched.look(a=UP)
    assert watched.metric("node_up", "b") is None
    assert b'node="b"' not in generate_latest(watched.registry)


async def test_the_heads_age_tells_of_a_chain_that_halts(watched: Watched) -> None:
    """It grows while all nodes answer with the same block, and falls with the next one."""
    await watched.look(a=UP)
    watched.clock.now = 30.0
    await watched.look(a=UP)
    assert watched.metric("head_age_seconds") == 30.0
    await watched.look(a=NodeHealth(node_up=True, privacy_manager_up=True, block_number=8))
    assert watched.metric("head_age_seconds") == 0.0


async def test_old_answers_are_no_readiness(watched: Watched) -> None:
    """A watch that has stopped must not be believed."""
    await watched.look(a=UP)
    watched.clock.now = 1000.0
    with pytest.raises(NodeUnavailable):
        await watched.watch.check()


async def test_the_api_watches_its_customers_nodes(world: World) -> None:
    """/readyz names the check, and /metrics the nodes, without the nodes' addresses."""
    status, answer = await world.ask(None, "GET", "/readyz")
    assert (status, answer["checks"]["ledger"]) == (200, "ok")
    _, text = await world.ask(None, "GET", "/metrics")
    assert "steelyard_ledger_head_age_seconds" in text
    assert ".test" not in text
