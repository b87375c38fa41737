"""Ledger nodes: where they are, and whose. For the platform's administrators only."""

from typing import Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, exists, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.errors import FieldError, InvalidRequest
from steelyard.identity.principal import Principal
from steelyard.registry.entities import PLATFORM, Entities, set_fields, unknown
from steelyard.registry.errors import NodeInUse
from steelyard.registry.fields import EntityId, NodeName, NodeUrl, Sent, Shown, TesseraKey, kept
from steelyard.store.database import Database
from steelyard.store.identifiers import new_id
from steelyard.store.models import Node, NodeRole, Station
from steelyard.store.row_seal import check_row, seal_row
from steelyard.store.vault import Place, Vault
from steelyard.web.endpoint import Call
from steelyard.web.pages import Page, PageQuery

_PURPOSES = {
    NodeRole.NETWORK: "the network's administration",
    NodeRole.ADMIN: "a customer's administration",
    NodeRole.STATION: "stations",
}


class NodeDraft(Sent):
    """A ledger node to register, with the names of network.json."""

    name: NodeName
    role: NodeRole
    rpc_url: NodeUrl
    tessera_url: NodeUrl
    tessera_public_key: TesseraKey


class NodePatch(Sent):
    """A change of a node: it moved, or it is called otherwise."""

    name: NodeName = kept()
    rpc_url: NodeUrl = kept()
    tessera_url: NodeUrl = kept()


class NodeView(Shown):
    """A ledger node. `customer_id` is null while it is free."""

    id: EntityId
    name: str
    role: NodeRole
    rpc_url: str
    tessera_url: str
    tessera_public_key: str
    customer_id: EntityId | None


class NodeQuery(PageQuery):
    """Filters of the list of nodes."""

    role: NodeRole | None = None
    customer_id: EntityId | None = None
    station_id: EntityId | None = Field(None, description="The node that the station has, or had.")
    free: Literal["true", "false"] | None = None


class Nodes(Entities[Node]):
    """The ledger nodes; their URLs stand in the vault."""

    table = Node
    kind = "node"
    plural = "nodes"
    draft = NodeDraft
    patch = NodePatch
    view = NodeView
    page = Page[NodeView]
    page_query = NodeQuery
    example: ClassVar[dict[str, Any]] = {
        "name": "node-4",
        "role": "station",
        "rpc_url": "http://127.0.0.1:22003",
        "tessera_url": "http://127.0.0.1:9084",
        "tessera_public_key": "BULeR8JyUWhiuuCMU/HLA0Q5pzkYT+cHII3ZKBey3Bo=",
    }
    readers = PLATFORM
    writers = PLATFORM
    creators = PLATFORM
    problems = (NodeInUse,)

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database)
        self._vault = vault

    def visible(self, caller: Principal) -> ColumnElement[bool]:
        """All of them: nobody else gets here."""
        del caller
        return true()

    def filters(self, query: NodeQuery) -> list[ColumnElement[bool]]:
        """By role, customer, station, and whether a customer has it."""
        conditions: list[ColumnElement[bool]] = []
        if query.role is not None:
            conditions.append(Node.role == query.role)
        if query.customer_id is not None:
            conditions.append(Node.customer_id == query.customer_id)
        if query.station_id is not None:
            conditions.append(
                exists().where(Station.node_id == Node.id, Station.id == query.station_id)
            )
        if query.free is not None:
            free = Node.customer_id.is_(None)
            conditions.append(free if query.free == "true" else ~free)
        return conditions

    def show(self, row: Node) -> NodeView:
        """The node with its URLs. Raises VaultTampered."""
        check_row(self._vault, row)
        return NodeView(
            id=row.id,
            name=row.name,
            role=row.role,
            rpc_url=self._vault.open_text(Place("nodes", row.id, "rpc_url"), row.rpc_url),
            tessera_url=self._vault.open_text(
                Place("nodes", row.id, "tessera_url"), row.tessera_url
            ),
            tessera_public_key=row.tessera_key,
            customer_id=row.customer_id,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    async def build(self, session: AsyncSession, call: Call[NodeDraft, Any]) -> Node:
        """A node with its URLs sealed."""
        del session
        draft, node_id = call.body, new_id()
        row = Node(
            id=node_id,
            name=draft.name,
            role=draft.role,
            tessera_key=draft.tessera_public_key,
            rpc_url=self._vault.seal_text(Place("nodes", node_id, "rpc_url"), draft.rpc_url),
            tessera_url=self._vault.seal_text(
                Place("nodes", node_id, "tessera_url"), draft.tessera_url
            ),
        )
        seal_row(self._vault, row)
        return row

    async def change(self, session: AsyncSession, row: Node, patch: NodePatch) -> None:
        """Name and URLs; the station that the node serves learns of the new URLs as well."""
        check_row(self._vault, row)
        set_fields(row, patch, "name")
        seal_row(self._vault, row)
        station = await session.scalar(select(Station).where(Station.node_id == row.id))
        if "rpc_url" in patch.model_fields_set:
            row.rpc_url = self._vault.seal_text(Place("nodes", row.id, "rpc_url"), patch.rpc_url)
            if station is not None:
                place = Place("stations", station.id, "node_url")
                station.node_url = self._vault.seal_text(place, patch.rpc_url)
        if "tessera_url" in patch.model_fields_set:
            place = Place("nodes", row.id, "tessera_url")
            row.tessera_url = self._vault.seal_text(place, patch.tessera_url)
            if station is not None:
                place = Place("stations", station.id, "tessera_url")
                station.tessera_url = self._vault.seal_text(place, patch.tessera_url)

    async def remove(self, session: AsyncSession, row: Node) -> None:
        """Forget a node that nobody has. Raises NodeInUse."""
        if row.customer_id is not None:
            raise NodeInUse("Its private state holds what the customer's contracts say.")
        await session.delete(row)


async def named_node(
    session: AsyncSession, field: str, node_id: str, *, role: NodeRole, customer_id: str | None
) -> Node:
    """The node that a request names in `field`, locked until the transaction ends.

    Raises InvalidRequest for one that is not there or has another role, and NodeInUse for one
    that belongs to another customer than `customer_id` (None: to any).
    """
    node: Node | None = await session.scalar(
        select(Node).where(Node.id == node_id).with_for_update()
    )
    if node is None:
        raise unknown(field, "node")
    if node.role is not role:
        raise InvalidRequest(
            f"The node {node.name} is none for {_PURPOSES[role]}.",
            errors=[FieldError(field, f"must be the id of a node of role {role.value}")],
        )
    if node.customer_id not in {None, customer_id}:
        raise NodeInUse(f"The node {node.name} is another customer's.")
    return node
