"""A station is registered wholly or not at all, whatever fails and whoever else registers."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select, update

from databases import FakeClock
from fakes import FakeLedger
from registry_world import node_draft
from steelyard.errors import InvalidRequest, Problem
from steelyard.identity.clients import secret_matches
from steelyard.ledger.errors import NodeUnavailable, TransactionPending
from steelyard.ledger.protocol import Deployment, NodeRef, SigningKey
from steelyard.registry.errors import (
    NodeInUse,
    NoFreeNode,
    RegistrationFailed,
    RegistrationInProgress,
)
from steelyard.registry.registration import Requester, StationRegistrar
from steelyard.store.audit import OPERATOR, AuditRecord, verify_chain
from steelyard.store.database import Database
from steelyard.store.errors import Taken, VaultTampered
from steelyard.store.identifiers import new_id
from steelyard.store.key_ring import KeyRing
from steelyard.store.models import Customer, Node, NodeRole, Station, StationStatus
from steelyard.store.row_seal import open_roster, seal_roster, seal_row
from steelyard.store.settings import StoreSettings
from steelyard.store.vault import Place, Vault

REQUESTER = Requester(OPERATOR, "a-request")


class WatchedLedger(FakeLedger):
    """Remembers what it was asked to deploy, and can be held or made to fail in any way."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[SigningKey, NodeRef, tuple[str, ...]]] = []
        self.held = asyncio.Event()
        self.held.set()
        self._changed = asyncio.Condition()
        self.error: BaseException | None = None

    async def deploy(self, key, node, parties) -> Deployment:
        async with self._changed:
            self.asked.append((key, node, tuple(parties)))
            self._changed.notify_all()
        await self.held.wait()
        if self.error is not None:
            raise self.error
        return await super().deploy(key, node, parties)

    async def reached(self, count: int = 1) -> None:
        """Wait until so many deployments were asked for."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.asked) >= count)


@dataclass
class Scene:
    """A customer with its admin node, and station nodes that are free."""

    database: Database
    vault: Vault
    customer_id: str
    ledger: WatchedLedger = field(default_factory=WatchedLedger)
    clock: FakeClock = field(default_factory=FakeClock)

    def registrar(self, **options) -> StationRegistrar:
        values = {"deploy_seconds": 5.0, "clock": self.clock} | options
        return StationRegistrar(self.database, self.vault, self.ledger, **values)

    async def register(self, name: str = "north"):
        return await self.registrar().register(self.customer_id, name, REQUESTER)

    async def stations(self) -> list[Station]:
        async with self.database.session(read_only=True) as session:
            return list(await session.scalars(select(Station).order_by(Station.name)))

    async def nodes(self) -> list[Node]:
        async with self.database.session(read_only=True) as session:
            wanted = select(Node).where(Node.role == NodeRole.STATION).order_by(Node.name)
            return list(await session.scalars(wanted))

    async def audit(self) -> list[tuple[str, str]]:
        async with self.database.session(read_only=True) as session:
            await verify_chain(session)
            lines = await session.scalars(select(AuditRecord).order_by(AuditRecord.seq))
            return [(line.action, line.outcome) for line in lines]

    async def assert_nothing_left(self) -> None:
        """No row of a station, and every node is free again."""
        assert await self.stations() == []
        assert [node.customer_id for node in await self.nodes()] == [None] * 3


def a_sealed_node(vault: Vault, name: str, role: str, customer_id: str | None = None) -> Node:
    draft, node_id = node_draft(name, role), new_id()
    row = Node(
        id=node_id,
        name=name,
        role=NodeRole(role),
        customer_id=customer_id,
        tessera_key=draft["tessera_public_key"],
        rpc_url=vault.seal_text(Place("nodes", node_id, "rpc_url"), draft["rpc_url"]),
        tessera_url=vault.seal_text(Place("nodes", node_id, "tessera_url"), draft["tessera_url"]),
    )
    seal_row(vault, row)
    return row


async def set_up(database: Database, ring: KeyRing) -> Scene:
    vault = Vault(ring)
    customer = Customer(id=new_id(), name="Quarry")
    customer.roster = seal_roster(vault, customer.id, ())
    async with database.session() as session:
        session.add(customer)
        await session.flush()
        session.add(a_sealed_node(vault, "admin-1", "admin", customer.id))
        session.add_all([a_sealed_node(vault, f"node-{n}", "station") for n in (1, 2, 3)])
    return Scene(database, vault, customer.id)


@pytest.fixture
async def scene(store_settings: StoreSettings) -> AsyncIterator[Scene]:
    """On SQLite and on PostgreSQL."""
    database = Database(store_settings)
    yield await set_up(database, KeyRing.generate())
    await database.dispose()


@pytest.fixture
async def sqlite_scene(empty_store: StoreSettings) -> AsyncIterator[Scene]:
    """On SQLite only, for what does not depend on the database."""
    database = Database(empty_store)
    yield await set_up(database, KeyRing.generate())
    await database.dispose()


async def test_a_station_gets_node_contract_and_credentials(scene: Scene) -> None:
    """The contract goes to the station's node and the admin node; the vault holds what it took."""
    made = await scene.register()
    (key, node, parties) = scene.ledger.asked[0]
    assert node.name == "node-1"
    assert node.rpc_url == node_draft("node-1", "station")["rpc_url"]
    assert parties == (node_draft("admin-1", "admin")["tessera_public_key"],)
    (row,) = await scene.stations()
    assert row.status is StationStatus.ACTIVE
    assert secret_matches(row.client_secret_hash, made.client_secret)

    def opened(column: str) -> bytes:
        return scene.vault.open(Place("stations", row.id, column), getattr(row, column))

    assert opened("account_key") == key.secret
    assert opened("contract_address").decode() in scene.ledger.contracts
    assert opened("node_url").decode() == node.rpc_url
    assert opened("tessera_url").decode() == node.tessera_url
    assert row.deployment_block == 2
    assert [n.customer_id for n in await scene.nodes()] == [scene.customer_id, None, None]
    assert await scene.audit() == [("station.reserve", "success"), ("station.create", "success")]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("admin-1", {"tessera_key": "of somebody else"}),
        ("node-1", {"tessera_key": "of somebody else"}),
        ("node-1", {"role": NodeRole.ADMIN, "name": "a-node"}),
        ("admin-1", {"name": "node-9"}),
    ],
)
async def test_nobody_becomes_a_party_by_writing_to_the_database(scene, name, change):
    """A node's key or role that was changed from outside is never used, and is in the audit log."""
    async with scene.database.session() as session:
        await session.execute(update(Node).where(Node.name == name).values(**change))
        if change.get("role"):  # in the place of the customer's own
            taken = update(Node).where(Node.name == "admin-1").values(customer_id=None)
            await session.execute(taken)
            given = update(Node).where(Node.name == "a-node")
            await session.execute(given.values(customer_id=scene.customer_id))
    with pytest.raises(VaultTampered):
        await scene.register()
    assert scene.ledger.contracts == {}
    assert await scene.stations() == []
    assert await scene.audit() == [("vault.open", "tampered")]


async def test_a_customers_roster_names_its_stations(scene):
    """Each completed registration is in it; the customer's version does not move."""
    made = [await scene.register(name) for name in ("north", "south")]
    async with scene.database.session(read_only=True) as session:
        customer = await session.get_one(Customer, scene.customer_id)
    assert open_roster(scene.vault, customer) == {one.station.id for one in made}
    assert customer.version == 1


async def test_two_registrations_at_once_are_both_in_the_roster(scene):
    """Neither writes over what the other wrote."""
    registrars = [scene.registrar(), scene.registrar()]
    names = ("north", "south")
    made = await asyncio.gather(
        *(
            registrar.register(scene.customer_id, name, REQUESTER)
            for registrar, name in zip(registrars, names, strict=True)
        )
    )
    async with scene.database.session(read_only=True) as session:
        customer = await session.get_one(Customer, scene.customer_id)
    assert open_roster(scene.vault, customer) == {one.station.id for one in made}


async def test_a_complete_station_set_back_to_pending_is_not_cleared_away(scene):
    """Its node holds the customer's tickets: neither the start nor a deletion gives it away."""
    made = await scene.register()
    async with scene.database.session() as session:
        await session.execute(
            update(Station).values(
                status=StationStatus.PENDING, contract_address=None, updated_at=0
            )
        )
    assert await scene.registrar().release_abandoned() == 0
    with pytest.raises(VaultTampered):
        await scene.register()
    assert [row.id for row in await scene.stations()] == [made.station.id]
    assert [n.customer_id for n in await scene.nodes()] == [scene.customer_id, None, None]
    assert (await scene.audit()).count(("vault.open", "tampered")) == 2


async def test_an_abandoned_registration_on_a_changed_node_stays_in_sight(scene):
    """The others are cleared away, the start goes on, and the audit log names the node."""
    await scene.registrar()._reserve(scene.customer_id, "north", REQUESTER)
    await scene.registrar()._reserve(scene.customer_id, "south", REQUESTER)
    async with scene.database.session() as session:
        await session.execute(update(Node).where(Node.name == "node-1").values(tessera_key="x"))
    scene.clock.advance(66)
    assert await scene.registrar().release_abandoned() == 1
    assert [row.name for row in await scene.stations()] == ["north"]
    assert ("vault.open", "tampered") in await scene.audit()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NodeUnavailable("no answer"), NodeUnavailable),
        (TransactionPending("no block"), TransactionPending),
        (RuntimeError("a fault of ours"), RuntimeError),
        (TimeoutError(), RegistrationFailed),
    ],
)
async def test_a_failed_deployment_leaves_nothing(scene: Scene, error, raised) -> None:
    """Whatever the ledger raises: no row, a free node, an audit line; and it can be repeated."""
    scene.ledger.error = error
    with pytest.raises(raised):
        await scene.register()
    await scene.assert_nothing_left()
    assert (await scene.audit())[-1] == ("station.create", "failed")
    scene.ledger.error = None
    await scene.register()
    first, second = scene.ledger.asked
    assert first[0] != second[0], "a new attempt has a fresh key"
    assert [row.status for row in await scene.stations()] == [StationStatus.ACTIVE]


async def test_a_ledger_that_hangs_is_given_up(sqlite_scene: Scene) -> None:
    """After the time allowed the registration fails, and nothing is left."""
    scene = sqlite_scene
    scene.ledger.held.clear()
    with pytest.raises(RegistrationFailed, match=r"within 0\.05 seconds"):
        await scene.registrar(deploy_seconds=0.05).register(scene.customer_id, "north", REQUESTER)
    await scene.assert_nothing_left()


async def test_a_cancelled_request_leaves_nothing(sqlite_scene: Scene) -> None:
    """A request that is given up while the contract is deployed undoes its reservation."""
    scene = sqlite_scene
    scene.ledger.held.clear()
    task = asyncio.create_task(scene.register())
    await scene.ledger.reached()
    assert [row.status for row in await scene.stations()] == [StationStatus.PENDING]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await scene.assert_nothing_left()


async def test_a_database_that_fails_at_the_end_leaves_nothing(
    sqlite_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion that cannot be written is undone like a failed deployment."""
    scene = sqlite_scene
    registrar = scene.registrar()

    def fail(*_) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr("steelyard.registry.registration.new_client_secret", fail)
    with pytest.raises(OSError, match="disk full"):
        await registrar.register(scene.customer_id, "north", REQUESTER)
    await scene.assert_nothing_left()


async def test_concurrent_registrations_take_different_nodes(scene: Scene) -> None:
    """Three at once get three nodes, a fourth is told that none is free."""
    names = ["north", "east", "south", "west"]
    results = await asyncio.gather(*map(scene.register, names), return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert [type(error) for error in refused] == [NoFreeNode]
    rows = await scene.stations()
    assert len(rows) == 3
    assert len({row.node_id for row in rows}) == 3
    assert len({key.secret for key, _, _ in scene.ledger.asked}) == 3


async def test_the_same_name_at_the_same_time_is_registered_once(scene: Scene) -> None:
    """Of five that register one name at once, one succeeds; one row, one node."""
    results = await asyncio.gather(
        *(scene.register(name) for name in ("north", "North", "north", "NORTH", "north")),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 4
    assert all(isinstance(error, RegistrationInProgress | Taken) for error in refused), refused
    assert len(await scene.stations()) == 1
    assert sum(node.customer_id is not None for node in await scene.nodes()) == 1


async def test_a_named_node_is_given_once(scene: Scene) -> None:
    """Of four that ask for one node at once, one gets it; the others get no other one."""
    node = (await scene.nodes())[1]
    results = await asyncio.gather(
        *(
            scene.registrar().register(scene.customer_id, name, REQUESTER, node.id)
            for name in ("north", "east", "south", "west")
        ),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert [type(error) for error in refused] == [NodeInUse] * 3, refused
    assert [row.node_id for row in await scene.stations()] == [node.id]
    assert [bool(one.customer_id) for one in await scene.nodes()] == [False, True, False]


async def test_a_name_stays_taken(sqlite_scene: Scene) -> None:
    """A station's name is not given again, in any case of its letters."""
    await sqlite_scene.register("north")
    with pytest.raises(Taken):
        await sqlite_scene.register("NORTH")


async def test_an_unknown_customer_and_one_without_a_node(sqlite_scene: Scene) -> None:
    """A customer that is not there is refused with the field's name, and takes no node."""
    with pytest.raises(InvalidRequest) as refused:
        await sqlite_scene.registrar().register(new_id(), "north", REQUESTER)
    assert [error.field for error in refused.value.errors] == ["customer_id"]
    await sqlite_scene.assert_nothing_left()


async def test_a_running_registration_is_left_alone(sqlite_scene: Scene) -> None:
    """Within its lease nobody clears a pending row away: not a repeat, not a start."""
    scene = sqlite_scene
    scene.ledger.held.clear()
    task = asyncio.create_task(scene.register())
    await scene.ledger.reached()
    with pytest.raises(RegistrationInProgress) as refused:
        await scene.register()
    assert refused.value.headers["Retry-After"] == "66"
    assert await scene.registrar().release_abandoned() == 0
    scene.ledger.held.set()
    await task
    assert [row.status for row in await scene.stations()] == [StationStatus.ACTIVE]


async def test_one_that_was_taken_over_does_not_complete(sqlite_scene: Scene) -> None:
    """A registration that slept past its lease finds its row gone, and undoes nothing of others."""
    scene = sqlite_scene
    scene.ledger.held.clear()
    sleeper = asyncio.create_task(scene.register())
    await scene.ledger.reached()
    scene.clock.advance(100)
    successor = asyncio.create_task(scene.register())
    await scene.ledger.reached(2)
    scene.ledger.held.set()
    results = await asyncio.gather(sleeper, successor, return_exceptions=True)
    assert isinstance(results[0], RegistrationFailed)
    (row,) = await scene.stations()
    assert row.id == results[1].station.id
    key = scene.vault.open(Place("stations", row.id, "account_key"), row.account_key)
    assert key == scene.ledger.asked[1][0].secret


POINTS = ["commit 1", "before deploy", "after deploy", "commit 2", "after"]


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_moment_can_be_repeated(
    sqlite_scene: Scene, tmp_path: Path, point: str
) -> None:
    """After SIGKILL anywhere the same registration ends with one active station and one node.

    Nothing half-registered is ever active; what was pending is cleared once its lease is over.
    """
    scene = sqlite_scene
    ring = tmp_path / "ring.json"
    scene.vault.ring.write(ring)
    arguments = [scene.database.settings.url, str(ring), scene.customer_id, point]
    script = Path(__file__).with_name("killed_registration.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), *arguments)
    assert await process.wait() == -signal.SIGKILL
    before = await scene.stations()
    scene.clock.now = max([row.updated_at for row in before], default=0)
    if point == "after":
        assert [row.status for row in before] == [StationStatus.ACTIVE]
        with pytest.raises(Taken):
            await scene.register()
    else:
        pending = [] if point == "commit 1" else [StationStatus.PENDING]
        assert [row.status for row in before] == pending
        if pending:
            with pytest.raises(RegistrationInProgress):
                await scene.register()
        scene.clock.advance(66)
        await scene.register()
    rows = await scene.stations()
    assert [row.status for row in rows] == [StationStatus.ACTIVE]
    assert sum(node.customer_id is not None for node in await scene.nodes()) == 1


async def test_a_start_clears_what_a_dead_process_left(sqlite_scene: Scene) -> None:
    """`release_abandoned` frees the nodes of pending rows whose lease is over."""
    scene = sqlite_scene
    # A pending row without anybody at work on it: the reservation of a process that died.
    await scene.registrar()._reserve(scene.customer_id, "north", REQUESTER)
    assert await scene.registrar().release_abandoned() == 0
    scene.clock.advance(66)
    assert await scene.registrar().release_abandoned() == 1
    await scene.assert_nothing_left()


async def test_no_problem_shows_a_key_or_a_url(sqlite_scene: Scene) -> None:
    """Neither the key nor a node's URL is in a reservation's repr or a problem's text."""
    scene = sqlite_scene
    reserved = await scene.registrar()._reserve(scene.customer_id, "north", REQUESTER)
    assert reserved.key.secret.hex() not in repr(reserved)
    assert repr(reserved.key.secret) not in repr(reserved)
    scene.ledger.error = NodeUnavailable("no answer")
    with pytest.raises(Problem) as raised:
        await scene.register("east")
    assert "127.0.0.1" not in str(raised.value.as_dict())
