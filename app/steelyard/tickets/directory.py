"""Where a customer's and a station's tickets lie: looked up in the store, opened by the vault."""

import json
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.store.database import Database
from steelyard.store.models import Customer, Node, NodeRole, Station, StationStatus, Weighbridge
from steelyard.store.row_seal import check_row, check_stations, missing_admin_node
from steelyard.store.vault import Place, Vault
from steelyard.tickets.errors import StationInactive
from steelyard.tickets.known_routes import active_webhooks
from steelyard.tickets.nodes import node_reference
from steelyard.tickets.search import Source


@dataclass(frozen=True, slots=True)
class StationAccess:
    """What a station may register with: its contract, and the weighbridges it has or had.

    `watched` tells whether a webhook of its customer's is to hear of deviations.
    """

    station_name: str
    customer_id: str
    writer: ContractWriter
    scale_serials: frozenset[str]
    watched: bool


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
            customer, admin, stations = await _look_up(session, customer_id)
            if customer is None:
                return []
            check_stations(self._vault, customer, stations)
            if not stations:
                return []
            if admin is None:
                raise missing_admin_node(customer)
            node = self._node_ref(admin)
            return [
                Source(row.id, row.name, ContractView(self._address(row), node))
                for row in stations
                if station is None or row.name == station
            ]

    async def station(self, station_id: str) -> StationAccess:
        """What an active station registers with. Raises StationInactive for any other."""
        async with self._database.session(read_only=True) as session:
            row = await session.get(Station, station_id)
            if row is None or row.status is not StationStatus.ACTIVE or row.node_id is None:
                raise StationInactive
            node = await session.get(Node, row.node_id)
            if node is None:
                raise StationInactive
            check_row(self._vault, row)
            check_row(self._vault, node)
            # Each registration asks for both, so one statement does.
            watched = exists().where(*active_webhooks(row.customer_id))
            bridges = await session.execute(
                # Also of deleted weighbridges: a SmartBox may deliver what it weighed before.
                select(Weighbridge.scale_serial, watched).where(Weighbridge.station_id == row.id)
            )
            known = dict(bridges.all())
            writer = self._writer(row, node)
            return StationAccess(
                row.name, row.customer_id, writer, frozenset(known), any(known.values())
            )

    def _node_ref(self, node: Node) -> NodeRef:
        check_row(self._vault, node)
        return node_reference(self._vault, node)

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


async def _look_up(
    session: AsyncSession, customer_id: str
) -> tuple[Customer | None, Node | None, list[Station]]:
    """A customer, its admin node, and its stations that are not pending.

    By one statement, so that all of it is of one moment: a station and its customer's roster
    change together.
    """
    statement = (
        select(Customer, Node, Station)
        .outerjoin(Node, (Node.customer_id == Customer.id) & (Node.role == NodeRole.ADMIN))
        .outerjoin(
            Station,
            (Station.customer_id == Customer.id) & (Station.status != StationStatus.PENDING),
        )
        .where(Customer.id == customer_id)
        .order_by(Station.id)
    )
    rows = (await session.execute(statement)).all()
    if not rows:
        return None, None, []
    customer, node, _ = rows[0]
    return customer, node, [station for *_, station in rows if station is not None]


def _given(sealed: bytes | None) -> bytes:
    """A sealed value that the table's constraints promise; an absent one opens as tampered."""
    return sealed or b""
