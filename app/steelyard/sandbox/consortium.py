"""The embedded consortium: nodes and privacy managers on their ports, and a block a period."""

import asyncio
import base64
import contextlib
import time
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eth_hash.auto import keccak
from structlog import get_logger

from steelyard.sandbox.chain import Block
from steelyard.sandbox.endpoint import Endpoint
from steelyard.sandbox.errors import SandboxProblem
from steelyard.sandbox.faults import Fault, FaultKind
from steelyard.sandbox.identity import Identity
from steelyard.sandbox.jsonrpc import called_methods
from steelyard.sandbox.keeper import Keeper
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.methods import NodeMethods
from steelyard.sandbox.node import Node
from steelyard.sandbox.node_server import node_handler
from steelyard.sandbox.privacy import PrivacyManager
from steelyard.sandbox.privacy_server import BODY_LIMIT, out_of_heap, privacy_handler
from steelyard.sandbox.store import LedgerStore

logger = get_logger(__name__)
_LEAST_TIME = 0.25  # seconds that a block may take to run, however short the period
HOST = "127.0.0.1"  # neither engine asks who calls: nothing here may be reached from elsewhere


@dataclass(frozen=True, slots=True)
class Member:
    """A node and its privacy manager with their endpoints."""

    node: Node
    rpc: Endpoint
    tessera: Endpoint


class Consortium:
    """N nodes in this process. Use it as an asynchronous context manager.

    `block_period` and `empty_block_period` are in seconds: without transactions a block is made
    each `empty_block_period` (the block period, when it is None). Node i listens at base_port + 2i
    and its privacy manager at the next port; base_port 0 takes free ports, and those used last
    when `directory` holds a consortium. Raises SandboxProblem if the directory cannot be used or
    holds another number of nodes or chain id.
    """

    def __init__(
        self,
        *,
        nodes: int = 3,
        block_period: float = 1.0,
        empty_block_period: float | None = None,
        base_port: int = 0,
        chain_id: int = 1337,
        directory: Path | None = None,
    ) -> None:
        self.block_period = block_period
        self.empty_block_period = empty_block_period
        self._store = None if directory is None else LedgerStore(directory)
        try:
            identity = self._identify(nodes, chain_id)
            self._identity = identity
            managers = [PrivacyManager(f"node-{i + 1}", key) for i, key in enumerate(identity.keys)]
            members = [Node(manager.name, manager, chain_id) for manager in managers]
            validators = [keccak(base64.b64decode(key))[12:] for key in identity.keys]
            self.ledger = SharedLedger(members, validators, chain_id)
            if self._store is not None:
                Keeper(self.ledger, self._store).restore()
        except BaseException:
            self._close_store()
            raise
        ports = range(base_port, base_port + 2 * nodes) if base_port else identity.ports
        pairs = zip_longest(members, ports[::2], ports[1::2], fillvalue=0)
        self.members = tuple(
            self._member(node, rpc, tessera)
            for node, rpc, tessera in pairs
            if isinstance(node, Node)
        )
        self._by_name = {member.node.name: member for member in self.members}
        self._running = asyncio.Event()
        self._running.set()
        self._producer: asyncio.Task[None] | None = None

    def _identify(self, nodes: int, chain_id: int) -> Identity:
        document = self._store.read_identity() if self._store is not None else None
        if document is None:
            identity = Identity.new(nodes, chain_id)
            self._write_identity(identity)
            return identity
        identity = Identity.read(document)
        if len(identity.keys) != nodes or identity.chain_id != chain_id:
            raise SandboxProblem(
                f"the directory holds a consortium of {len(identity.keys)} nodes with chain id "
                f"{identity.chain_id}, not of {nodes} with {chain_id}"
            )
        return identity

    def _write_identity(self, identity: Identity) -> None:
        if self._store is not None:
            self._store.write_identity(identity.document())

    def _member(self, node: Node, rpc_port: int, tessera_port: int) -> Member:
        rpc = Endpoint(
            node_handler(NodeMethods(self.ledger, node)),
            lambda _, body: called_methods(body),
            host=HOST,
            port=rpc_port,
        )
        tessera = Endpoint(
            privacy_handler(self.ledger.privacy, node.manager),
            lambda request, _: [request.path],
            host=HOST,
            port=tessera_port,
            body_limit=BODY_LIMIT,
            refuse_length=out_of_heap,
        )
        node.on_end = rpc.end
        return Member(node, rpc, tessera)

    # -- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind all ports and begin to make blocks. Raises SandboxProblem."""
        try:
            for member in self.members:
                await member.rpc.start()
                await member.tessera.start()
                member.node.manager.url = member.tessera.url
            ports = [port for each in self.members for port in (each.rpc.port, each.tessera.port)]
            self._write_identity(
                Identity(self._identity.chain_id, self._identity.keys, tuple(ports))
            )
        except BaseException:
            await self.stop()
            raise
        self._producer = asyncio.create_task(self._produce(), name="sandbox blocks")

    async def wait(self) -> None:
        """Wait until it is stopped. Raises SandboxProblem if a block could not be made."""
        if self._producer is not None:
            await asyncio.shield(self._producer)

    async def stop(self) -> None:
        """Make no more blocks, close the ports and let go of the directory."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.cancel()
            await asyncio.gather(producer, return_exceptions=True)
        for member in self.members:
            await member.rpc.stop()
            await member.tessera.stop()
        self._close_store()

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()

    @property
    def network(self) -> dict[str, Any]:
        """What network.json says; the ports are known after `start`."""
        return {
            "engine": "sandbox",
            "chain_id": self.ledger.chain_id,
            "nodes": [
                {
                    "name": member.node.name,
                    "rpc_url": member.rpc.url,
                    "tessera_url": member.tessera.url,
                    "tessera_public_key": member.node.manager.public_key,
                }
                for member in self.members
            ],
        }

    # -- blocks --------------------------------------------------------------------------------

    async def _produce(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, last + self.block_period - time.monotonic()))
            await self._running.wait()
            left = last + (self.empty_block_period or self.block_period) - time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, left)):
                    await self.ledger.pool.work()
            last = time.monotonic()
            if self._running.is_set():
                await self.make_block()

    async def make_block(self) -> Block:
        """Make a block now, whatever the period, and also while the chain is halted.

        Raises SandboxProblem if it cannot be written down; the consortium is of no use then.
        """
        seconds = max(_LEAST_TIME, self.block_period)
        try:
            return await self.ledger.make_block(int(time.time()), seconds)
        except OSError as error:
            raise SandboxProblem(f"a block cannot be written: {error.strerror}") from error

    # -- faults --------------------------------------------------------------------------------

    def member(self, name: str) -> Member:
        """A member by its node's name, such as node-1. Raises KeyError."""
        return self._by_name[name]

    def halt_blocks(self) -> None:
        """Let the chain stand still; transactions are still taken."""
        self._running.clear()

    def resume_blocks(self) -> None:
        """Let blocks be made again."""
        self._running.set()

    async def node_down(self, name: str) -> None:
        """Let a node refuse connections, and cut those that are open; the others go on."""
        logger.info("node down", node=name)
        await self.member(name).rpc.stop()

    def lose_pool(self, name: str) -> int:
        """Forget the waiting transactions that a node took, as when it loses its journal.

        Gives their number. What a node took is otherwise kept over its restart.
        """
        lost = self.ledger.pool.forget(name)
        logger.info("pool lost", node=name, transactions=lost)
        return lost

    async def node_up(self, name: str) -> None:
        """Let a node answer again, on its old port and with the blocks made meanwhile."""
        logger.info("node up", node=name)
        await self.member(name).rpc.start()

    async def privacy_manager_down(self, name: str) -> None:
        """Let a privacy manager refuse connections, also those of other managers.

        Its node goes down at the next private transaction, until it is told to come up again.
        """
        logger.info("privacy manager down", node=name)
        self.member(name).node.manager.up = False
        await self.member(name).tessera.stop()

    async def privacy_manager_up(self, name: str) -> None:
        """Let a privacy manager answer again, on its old port, with what it held."""
        logger.info("privacy manager up", node=name)
        await self.member(name).tessera.start()
        self.ledger.privacy.came_back(self.member(name).node.manager)

    def inject(self, name: str, fault: Fault, *, at: str = "rpc") -> None:
        """Let a fault wait at a member's `rpc` or `tessera` endpoint."""
        member = self.member(name)
        (member.tessera if at == "tessera" else member.rpc).faults.add(fault)

    def drop_response(
        self, name: str, method: str | None = None, count: int = 1, *, at: str = "rpc"
    ) -> None:
        """Carry out the next requests of a kind, and cut their connections without an answer."""
        self.inject(name, Fault(FaultKind.DROP_RESPONSE, method, count), at=at)

    def clear_faults(self) -> None:
        """Forget faults that still wait."""
        for member in self.members:
            member.rpc.faults.clear()
            member.tessera.faults.clear()
