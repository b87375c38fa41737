"""The ledger on GoQuorum and Tessera (or on the sandbox, which speaks the same on the wire)."""

import asyncio
from collections.abc import Sequence

import aiohttp
from eth_utils.address import is_address, to_checksum_address

from steelyard.ledger import contract
from steelyard.ledger.errors import ContractMissing, NodeUnavailable, TransactionFailed
from steelyard.ledger.export import Exporter
from steelyard.ledger.jsonrpc import JsonRpc
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import (
    ContractView,
    ContractWriter,
    Deployment,
    Entry,
    NodeHealth,
    NodeRef,
    Page,
    Proof,
    Registration,
    SigningKey,
)
from steelyard.ledger.reading import Reader
from steelyard.ledger.receipts import Receipts
from steelyard.ledger.registration import Registrar
from steelyard.ledger.sender import Order, Sender
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.signer import address_of
from steelyard.ledger.tessera import Tessera
from steelyard.ledger.verify import Extent, verify
from steelyard.ticket import AlibiHead, Receipt, Ticket, TicketFilter

HEALTH_SECONDS = 2.0  # who answers later than this is of no use for registering either


class QuorumLedger:
    """A `Ledger`. One per process and event loop; `close` it before the session.

    The session is the caller's. Several processes may write with one key: they disturb each
    other's nonces and recover from it, at the cost of time.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: LedgerSettings) -> None:
        self._session = session
        self._settings = settings
        self._senders: dict[tuple[str, ...], Sender] = {}
        self._receipts: dict[str, Receipts] = {}

    async def close(self) -> None:
        """Let transactions that are being handed to a node come to their end."""
        await asyncio.gather(*(sender.close() for sender in self._senders.values()))
        await asyncio.gather(*(receipts.close() for receipts in self._receipts.values()))

    async def deploy(self, key: SigningKey, node: NodeRef, parties: Sequence[str]) -> Deployment:
        """Deploy a station contract privately to `node` and `parties`; its owner is `key`."""
        order = Order(
            key=key,
            to=None,
            payload=contract.initcode(),
            gas=self._settings.gas_deploy,
            parties=_others(parties, node),
        )
        address = address_of(key)
        mined = await self._sender(address, node).execute(order)
        if not mined.succeeded or not mined.contract_address:
            raise TransactionFailed("The contract's constructor failed")
        deployed = to_checksum_address(mined.contract_address)
        station = await self._reader(ContractView(deployed, node)).station()
        if station != address.lower():
            raise TransactionFailed("The deployed contract names another station than its key")
        return Deployment(deployed, mined.transaction_hash, mined.block_number)

    async def register(
        self,
        writer: ContractWriter,
        tickets: Sequence[Ticket],
        alibi_head: AlibiHead | None = None,
    ) -> list[Registration]:
        """Register tickets; see `Ledger.register`. Above `max_batch` in several transactions."""
        node = writer.view.node
        address = address_of(writer.key)
        order = ContractWriter(writer.view, writer.key, _others(writer.parties, node))
        sender = self._sender(address, node)
        reader = self._reader(writer.view)
        registrar = Registrar(order, sender, address, reader, self._settings, alibi_head)
        return await registrar.register(tickets)

    async def page(
        self,
        view: ContractView,
        ticket_filter: TicketFilter,
        *,
        cursor: int = 0,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Page:
        """The next entries strictly after `cursor` (0: from the start) that pass the filter."""
        reader = self._reader(view)
        return await reader.page(
            ticket_filter, cursor=cursor, limit=limit, newest_first=newest_first
        )

    async def count(self, view: ContractView, ticket_filter: TicketFilter) -> int:
        """How many tickets pass the filter."""
        return await self._reader(view).count(ticket_filter)

    async def get(self, view: ContractView, ticket_id: str) -> Entry | None:
        """The ticket with this id, or None."""
        return await self._reader(view).get(ticket_id)

    async def receipt(self, view: ContractView, ticket_id: str) -> Receipt | None:
        """The receipt of a registered ticket, found again on the ledger, or None."""
        return (await self._reader(view).receipts([ticket_id])).get(ticket_id)

    async def verify(
        self,
        view: ContractView,
        receipt: Receipt,
        ticket: Ticket | None = None,
        *,
        extent: Extent | None = None,
    ) -> Proof:
        """Prove a receipt at a party's node; compare with `ticket` as well when it is given.

        Without an `extent` the blocks behind the receipt's are left alone.
        """
        node, reader = self._node(view.node), self._reader(view)
        return await verify(node, reader, view, receipt, ticket, extent or Extent())

    async def health(self, node: NodeRef) -> NodeHealth:
        """Ask a node and its privacy manager for a sign of life; never raises for absence."""
        # Each within its own time: that one is silent must not be said of the other.
        wait = min(HEALTH_SECONDS, self._settings.privacy_manager_timeout)
        tessera = Tessera(self._session, node.tessera_url, node.name, wait)
        head, privacy_manager_up = await asyncio.gather(self._head(node), tessera.is_up())
        detail = "" if isinstance(head, int) else head
        if not privacy_manager_up:
            down = f"The privacy manager of {node.name} does not answer"
            detail = f"{detail}; {down}" if detail else down
        number = head if isinstance(head, int) else None
        return NodeHealth(number is not None, privacy_manager_up, number, detail)

    async def privacy_keys(self, node: NodeRef) -> tuple[str, ...]:
        """The public keys that a node's privacy manager holds; none if it does not tell."""
        return await self._tessera(node).keys()

    def exporter(self, view: ContractView) -> Exporter:
        """What writes the tickets of a contract, as seen from a party's node, to a file."""
        return Exporter(self.node(view), self._reader(view), view.address)

    def node(self, view: ContractView) -> Node:
        """The node from which a contract is seen. Raises ContractMissing."""
        _check_address(view)
        return self._node(view.node)

    async def _head(self, node: NodeRef) -> int | str:
        wait = min(HEALTH_SECONDS, self._settings.request_timeout)
        try:
            rpc = JsonRpc(self._session, node.rpc_url, node.name, wait)
            return await Node(rpc, node.name).block_number()
        except NodeUnavailable as problem:
            return problem.detail

    def _node(self, ref: NodeRef) -> Node:
        rpc = JsonRpc(self._session, ref.rpc_url, ref.name, self._settings.request_timeout)
        return Node(rpc, ref.name)

    def _tessera(self, ref: NodeRef) -> Tessera:
        wait = self._settings.privacy_manager_timeout
        return Tessera(self._session, ref.tessera_url, ref.name, wait)

    def _reader(self, view: ContractView) -> Reader:
        _check_address(view)
        return Reader(view, self._node(view.node))

    def _sender(self, address: str, ref: NodeRef) -> Sender:
        """The one writer of a key at a node in this process."""
        place = (address, ref.rpc_url, ref.tessera_url, ref.tessera_key)
        sender = self._senders.get(place)
        if sender is None:
            node = self._node(ref)
            receipts = self._receipts.setdefault(
                ref.rpc_url, Receipts(node, self._settings.poll_seconds)
            )
            sender = Sender(address, ref, node, receipts, self._tessera(ref), self._settings)
            self._senders[place] = sender
        return sender


def _others(parties: Sequence[str], node: NodeRef) -> tuple[str, ...]:
    """The parties without the sender's own, each once, in order."""
    return tuple(dict.fromkeys(key for key in parties if key != node.tessera_key))


def _check_address(view: ContractView) -> None:
    if not is_address(view.address):
        raise ContractMissing("This is not the address of a contract")
