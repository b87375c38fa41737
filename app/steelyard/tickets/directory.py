"""Where a customer's and a station's tickets lie: looked up in the store, opened by the vault."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.store.database import Database
from steelyard.store.errors import VaultTampered
from steelyard.store.models import Node, NodeRole, Station, StationStatus, Weighbridge
from steelyard.store.vault import Place, Vault
from steelyard.tickets.errors import StationInactive
from steelyard.tickets.search import Source


@dataclass(frozen=True, slots=True)
class StationAccess:
    """What a station may register with: its contract, and the weighbridges it has or had."""

    station_name: str
    writer: ContractWriter
    scale_serials: frozenset[str]


class Directory:
    """Finds contracts and nodes. Every sealed value is verified before it is used."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def sources(self, customer_id: str, station: str | None = None) -> list[Source]:
        """All of a customer's contracts as its admin node sees them, also of deleted stations.

        `station` keeps the one of that name only. Raises VaultTampered, and audits it.
        """
        async with self._database.session(read_only=True) as session:
            node = await self._admin_node(session, customer_id)
            stations = await self._stations(session, customer_id)
            if node is None:
                return []
            return [
                Source(row.id, row.name, ContractView(self._address(row), node))
                for row in stations
                if station is None or row.name == station
            ]

    async def nodes(self) -> dict[str, NodeRef | None]:
        """The customers' nodes by name; None for one whose addresses the vault does not open.

        What is wrong with such a value is audited where it is needed, not at every look.
        """
        async with self._database.session(read_only=True) as session:
            rows = await session.scalars(
                select(Node).where(Node.customer_id.is_not(None)).order_by(Node.name)
            )
            return {row.name: self._reference(row) for row in rows}

    def _reference(self, node: Node) -> NodeRef | None:
        try:
            return self._node_ref(node)
        except VaultTampered:
            return None

    async def station(self, station_id: str) -> StationAccess:
        """What an active station registers with. Raises StationInactive for any other."""
        async with self._database.session(read_only=True) as session:
            row = await session.get(Station, station_id)
            if row is None or row.status is not StationStatus.ACTIVE or row.node_id is None:
                raise StationInactive
            node = await session.get(Node, row.node_id)
            if node is None:
                raise StationInactive
            serials = await session.scalars(
                # Also of deleted weighbridges: a SmartBox may deliver what it weighed before.
                select(Weighbridge.scale_serial).where(Weighbridge.station_id == row.id)
            )
            return StationAccess(row.name, self._writer(row, node), frozenset(serials))

    @staticmethod
    async def _stations(session: AsyncSession, customer_id: str) -> Sequence[Station]:
        found = await session.scalars(
            select(Station)
            .where(Station.customer_id == customer_id, Station.contract_address.is_not(None))
            .order_by(Station.id)
        )
        return found.all()

    async def _admin_node(self, session: AsyncSession, customer_id: str) -> NodeRef | None:
        node = await session.scalar(
            select(Node).where(Node.customer_id == customer_id, Node.role == NodeRole.ADMIN)
        )
        return None if node is None else self._node_ref(node)

    def _node_ref(self, node: Node) -> NodeRef:
        return NodeRef(
            name=node.name,
            rpc_url=self._open("nodes", node.id, "rpc_url", node.rpc_url),
            tessera_url=self._open("nodes", node.id, "tessera_url", node.tessera_url),
            tessera_key=node.tessera_key,
        )

    def _writer(self, row: Station, node: Node) -> ContractWriter:
        reference = NodeRef(
            name=node.name,
            rpc_url=self._open("stations", row.id, "node_url", row.node_url),
            tessera_url=self._open("stations", row.id, "tessera_url", row.tessera_url),
            tessera_key=node.tessera_key,
        )
        key = self._vault.open(Place("stations", row.id, "account_key"), _given(row.account_key))
        parties = json.loads(self._open("stations", row.id, "parties", row.parties))
        return ContractWriter(
            ContractView(self._address(row), reference), SigningKey(key), tuple(parties)
        )

    def _address(self, row: Station) -> str:
        return self._open("stations", row.id, "contract_address", row.contract_address)

    def _open(self, table: str, row: str, column: str, sealed: bytes | None) -> str:
        return self._vault.open_text(Place(table, row, column), _given(sealed))


def _given(sealed: bytes | None) -> bytes:
    """A sealed value that the table's constraints promise; an absent one opens as tampered."""
    return sealed or b""
