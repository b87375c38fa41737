"""Registering a station: a node, a key and a contract, all of them or none.

The steps, each a transaction of its own:

1. reserve: the row, pending, with its node and everything that the deployment needs in the vault;
2. deploy: the contract, privately at the station's node and the customer's admin node;
3. complete: address and client secret; the row becomes active.

What fails in 2 or 3 is undone at once: the row goes, the node is free again. When the process dies
in between, the pending row stays. It is taken for abandoned once its lease has run out, and the
next registration under its name, the next start, or its deletion clears it away.

A deployment that was mined for a row that is no more leaves an empty contract. Its key is gone with
the row, so nothing can ever be registered in it; the new attempt has a fresh key.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import Problem
from steelyard.identity.clients import new_client_id, new_client_secret
from steelyard.ledger.errors import LedgerProblem
from steelyard.ledger.protocol import Deployment, Ledger, NodeRef, SigningKey
from steelyard.registry.entities import unknown
from steelyard.registry.errors import (
    NodeInUse,
    NoFreeNode,
    RegistrationFailed,
    RegistrationInProgress,
)
from steelyard.registry.nodes import named_node
from steelyard.store.audit import SYSTEM, Actor, Subject, record
from steelyard.store.database import Database
from steelyard.store.errors import Taken, VaultTampered
from steelyard.store.identifiers import new_id, now_ms
from steelyard.store.models import Customer, Node, NodeRole, Station, StationStatus, name_key
from steelyard.store.row_seal import check_incomplete, check_row, enlist, seal_row
from steelyard.store.vault import Place, Vault

logger = structlog.get_logger(__name__)

# The order of the group of secp256k1 (SEC 2, section 2.4.1): keys are 1 to this minus 1.
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_NODE_RACES = 5
_LEASE_MARGIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered station and its client secret, which is nowhere else."""

    station: Station
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Requester:
    """Who registers, for the audit log."""

    actor: Actor
    request_id: str | None


@dataclass(frozen=True, slots=True)
class _Reservation:
    customer_id: str
    station_id: str
    version: int
    key: SigningKey
    node: NodeRef
    parties: tuple[str, ...]


class StationRegistrar:
    """Registers stations, and clears away what a dead process left. `clock` is in milliseconds."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        ledger: Ledger,
        *,
        deploy_seconds: float,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._vault = vault
        self._ledger = ledger
        self._deploy_seconds = deploy_seconds
        self._lease_ms = int((deploy_seconds + _LEASE_MARGIN_SECONDS) * 1000)
        self._clock = clock

    async def register(
        self, customer_id: str, name: str, requester: Requester, node_id: str | None = None
    ) -> Registered:
        """Register a station, at the node that `node_id` names or at the first free one.

        Raises InvalidRequest (no such customer or station node), NoFreeNode, NodeInUse, Taken,
        RegistrationInProgress, a LedgerProblem or RegistrationFailed; after any of them nothing of
        the station is left.
        """
        reserved = await self._reserve_in_race(customer_id, name, requester, node_id)
        try:
            deployment = await self._deploy(reserved)
            return await self._complete(reserved, deployment, requester)
        except BaseException as error:
            # Also when the request is given up (CancelledError): undoing must come to its end.
            await asyncio.shield(self._undo(reserved, requester, error))
            raise

    async def release_abandoned(self) -> int:
        """Clear away the pending rows whose lease has run out; how many there were.

        One that was tampered with, or whose node was, stays and is in the audit log.
        """
        abandoned = (
            Station.status == StationStatus.PENDING,
            Station.updated_at < self._clock() - self._lease_ms,
        )
        async with self._database.session(read_only=True) as session:
            found = (await session.scalars(select(Station.id).where(*abandoned))).all()
        released = 0
        for station_id in found:
            try:
                released += await self._release_one(station_id, abandoned)
            except VaultTampered:
                logger.warning("abandoned registration not cleared", station=station_id)
        return released

    async def _release_one(
        self, station_id: str, abandoned: tuple[ColumnElement[bool], ...]
    ) -> bool:
        async with self._database.session() as session:
            row = await session.scalar(
                select(Station)
                .where(Station.id == station_id, *abandoned)
                .with_for_update(skip_locked=True)
            )
            if row is None:
                return False
            await self.release(session, row)
            subject = Subject("station", station_id)
            await record(session, "station.release", actor=SYSTEM, subject=subject)
        return True

    async def release(self, session: AsyncSession, row: Station) -> None:
        """Delete a pending row and free its node. Raises RegistrationInProgress in its lease."""
        left = row.updated_at + self._lease_ms - self._clock()
        if left > 0:
            seconds = str(left // 1000 + 1)
            raise RegistrationInProgress(
                f"The registration has {seconds} seconds left.", headers={"Retry-After": seconds}
            )
        await self._erase(session, row)

    async def _reserve_in_race(
        self, customer_id: str, name: str, requester: Requester, node_id: str | None
    ) -> _Reservation:
        for _ in range(_NODE_RACES):
            try:
                return await self._reserve(customer_id, name, requester, node_id)
            except Taken as problem:
                # Somebody else took the node between our look and our commit: look again.
                if problem.constraint != "uq_stations_node_id":
                    raise
        raise NoFreeNode("Others took every free node meanwhile.")

    async def _reserve(
        self, customer_id: str, name: str, requester: Requester, node_id: str | None = None
    ) -> _Reservation:
        key = SigningKey((secrets.randbelow(_ORDER - 1) + 1).to_bytes(32, "big"))
        async with self._database.session() as session:
            customer = await session.scalar(
                select(Customer)
                .where(Customer.id == customer_id, Customer.deleted_at.is_(None))
                .with_for_update()  # one reservation of a customer after the other
            )
            if customer is None:
                raise unknown("customer_id", "customer")
            await self._clear_way(session, customer_id, name)
            admin = await self._admin_node(session, customer_id)
            check_row(self._vault, admin)  # its key is about to be a party to every ticket
            node = await self._take_node(session, customer_id, node_id)
            reference = self._reference(node)
            row = Station(
                id=new_id(),
                customer_id=customer_id,
                name=name,
                name_key=name_key(name),
                client_id=new_client_id(),
                node_id=node.id,
                status=StationStatus.PENDING,
                created_at=self._clock(),
                updated_at=self._clock(),
            )
            parties = (admin.tessera_key,)
            self._seal(row, key, reference, parties)
            session.add(row)
            await session.flush()
            await self._note(session, "station.reserve", row.id, requester)
        return _Reservation(customer_id, row.id, row.version, key, reference, parties)

    async def _clear_way(self, session: AsyncSession, customer_id: str, name: str) -> None:
        """Release an abandoned registration under this name; Taken if it is a station's."""
        row = await session.scalar(
            select(Station)
            .where(Station.customer_id == customer_id, Station.name_key == name_key(name))
            .with_for_update()
        )
        if row is None:
            return
        if row.status is not StationStatus.PENDING:
            raise Taken("a station has, or had, this name already", "uq_stations_customer_id")
        await self.release(session, row)

    async def _admin_node(self, session: AsyncSession, customer_id: str) -> Node:
        admin = await session.scalar(
            select(Node).where(Node.customer_id == customer_id, Node.role == NodeRole.ADMIN)
        )
        if admin is None:
            raise NoFreeNode("The customer has no admin node.")
        return admin

    async def _take_node(
        self, session: AsyncSession, customer_id: str, node_id: str | None
    ) -> Node:
        """A station node that nobody has or had; from now on it is the customer's."""
        if node_id is not None:
            node = await _named_node(session, customer_id, node_id)
        else:
            node = await _free_node(session, customer_id)
        check_row(self._vault, node)
        node.customer_id = customer_id
        seal_row(self._vault, node)
        await session.flush()  # the station's foreign key names the node with its customer
        return node

    def _reference(self, node: Node) -> NodeRef:
        return NodeRef(
            name=node.name,
            rpc_url=self._vault.open_text(Place("nodes", node.id, "rpc_url"), node.rpc_url),
            tessera_url=self._vault.open_text(
                Place("nodes", node.id, "tessera_url"), node.tessera_url
            ),
            tessera_key=node.tessera_key,
        )

    def _seal(self, row: Station, key: SigningKey, node: NodeRef, parties: tuple[str, ...]) -> None:
        def place(column: str) -> Place:
            return Place("stations", row.id, column)

        row.account_key = self._vault.seal(place("account_key"), key.secret)
        row.node_url = self._vault.seal_text(place("node_url"), node.rpc_url)
        row.tessera_url = self._vault.seal_text(place("tessera_url"), node.tessera_url)
        row.parties = self._vault.seal_text(place("parties"), json.dumps(parties))
        seal_row(self._vault, row)

    async def _deploy(self, reserved: _Reservation) -> Deployment:
        try:
            async with asyncio.timeout(self._deploy_seconds):
                return await self._ledger.deploy(reserved.key, reserved.node, reserved.parties)
        except TimeoutError:
            raise RegistrationFailed(
                f"The contract was not on the ledger within {self._deploy_seconds:g} seconds.",
                headers={"Retry-After": "5"},
            ) from None
        except LedgerProblem as problem:
            logger.warning("deployment failed", type=problem.type, detail=problem.detail)
            raise

    async def _complete(
        self, reserved: _Reservation, deployment: Deployment, requester: Requester
    ) -> Registered:
        secret, digest = new_client_secret()
        async with self._database.session() as session:
            customer = await session.scalar(  # before the station, as reserving does
                select(Customer).where(Customer.id == reserved.customer_id).with_for_update()
            )
            row = await _pending(session, reserved)
            if row is None or customer is None:
                raise RegistrationFailed("Somebody else cleared the registration away.")
            check_row(self._vault, row)
            place = Place("stations", row.id, "contract_address")
            row.contract_address = self._vault.seal_text(place, deployment.address)
            row.deployment_transaction = deployment.transaction_hash
            row.deployment_block = deployment.block_number
            row.client_secret_hash = digest
            row.status = StationStatus.ACTIVE
            seal_row(self._vault, row)
            await session.flush()
            await enlist(session, self._vault, customer, row.id)
            await self._note(session, "station.create", row.id, requester)
        return Registered(row, secret)

    async def _undo(
        self, reserved: _Reservation, requester: Requester, error: BaseException
    ) -> None:
        reason = error.slug if isinstance(error, Problem) else type(error).__name__
        try:
            async with self._database.session() as session:
                row = await _pending(session, reserved)
                if row is None:
                    return
                await self._erase(session, row)
                await self._note(
                    session, "station.create", row.id, requester, outcome="failed", reason=reason
                )
        except Problem as problem:
            # The lease runs out, and then the row is cleared away as a dead process' one is.
            logger.warning(
                "registration not undone", station=reserved.station_id, type=problem.type
            )

    async def _erase(self, session: AsyncSession, row: Station) -> None:
        # Who set a complete station back to pending must not get its node given to another.
        check_row(self._vault, row)
        check_incomplete(self._vault, await session.get_one(Customer, row.customer_id), row)
        node = await session.get(Node, row.node_id) if row.node_id else None
        await session.delete(row)
        await session.flush()
        if node is not None:
            # No ticket was ever on it: another customer learns nothing from an empty contract.
            check_row(self._vault, node)
            node.customer_id = None
            seal_row(self._vault, node)
            await session.flush()

    @staticmethod
    async def _note(
        session: AsyncSession,
        action: str,
        station_id: str,
        requester: Requester,
        *,
        outcome: str = "success",
        reason: str | None = None,
    ) -> None:
        await record(
            session,
            action,
            actor=requester.actor,
            subject=Subject("station", station_id),
            outcome=outcome,
            detail={"reason": reason} if reason else None,
            request_id=requester.request_id,
        )


async def _free_node(session: AsyncSession, customer_id: str) -> Node:
    node: Node | None = await session.scalar(
        select(Node)
        .where(
            Node.role == NodeRole.STATION,
            (Node.customer_id.is_(None)) | (Node.customer_id == customer_id),
            ~exists().where(Station.node_id == Node.id),
        )
        .order_by(Node.customer_id.is_(None), Node.name)
        .limit(1)
        .with_for_update()  # wait rather than skip: who holds a node may yet give it back
    )
    if node is None:
        raise NoFreeNode("A station needs a station node of its own.")
    return node


async def _named_node(session: AsyncSession, customer_id: str, node_id: str) -> Node:
    node = await named_node(
        session, "node_id", node_id, role=NodeRole.STATION, customer_id=customer_id
    )
    if await session.scalar(select(exists().where(Station.node_id == node.id))):
        raise NodeInUse(f"The node {node.name} is, or was, another station's.")
    return node


async def _pending(session: AsyncSession, reserved: _Reservation) -> Station | None:
    """The reservation's row, unless it was completed, cleared away or taken over meanwhile."""
    row: Station | None = await session.scalar(
        select(Station)
        .where(
            Station.id == reserved.station_id,
            Station.status == StationStatus.PENDING,
            Station.version == reserved.version,
        )
        .with_for_update()
    )
    return row
