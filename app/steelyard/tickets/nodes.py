"""Which ledger nodes the tickets lie at."""

from sqlalchemy import select

from steelyard.ledger.protocol import NodeRef
from steelyard.store.database import Database
from steelyard.store.errors import VaultTampered
from steelyard.store.models import Node
from steelyard.store.vault import Place, Vault


class CustomersNodes:
    """All customers' nodes, for whoever watches them."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def __call__(self) -> dict[str, NodeRef | None]:
        """The nodes by name; None for one whose addresses the vault does not open.

        What is wrong with such a value is audited where it is needed, not at every look.
        """
        async with self._database.session(read_only=True) as session:
            rows = await session.scalars(
                select(Node).where(Node.customer_id.is_not(None)).order_by(Node.name)
            )
            return {row.name: self._reference(row) for row in rows}

    def _reference(self, node: Node) -> NodeRef | None:
        try:
            return node_reference(self._vault, node)
        except VaultTampered:
            return None


def node_reference(vault: Vault, node: Node) -> NodeRef:
    """A node with its addresses opened. Raises VaultTampered; the row's seal is not looked at."""

    def open_text(column: str, sealed: bytes) -> str:
        return vault.open_text(Place("nodes", node.id, column), sealed)

    return NodeRef(
        name=node.name,
        rpc_url=open_text("rpc_url", node.rpc_url),
        tessera_url=open_text("tessera_url", node.tessera_url),
        tessera_key=node.tessera_key,
    )
