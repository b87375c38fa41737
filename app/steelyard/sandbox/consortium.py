"""The embedded consortium: nodes and privacy managers on their ports, and a block a period."""

import asyncio
import base64
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_hash.auto import keccak

from steelyard.sandbox.chain import Block
from steelyard.sandbox.endpoint import Endpoint
from steelyard.sandbox.faults import Fault, FaultKind
from steelyard.sandbox.jsonrpc import called_methods
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.methods import NodeMethods
from steelyard.sandbox.node import Node
from steelyard.sandbox.node_server import node_handler
from steelyard.sandbox.privacy import PrivacyManager
from steelyard.sandbox.privacy_server import privacy_handler

DEFAULT_CHAIN_ID = 1337


@dataclass(frozen=True, slots=True)
class Member:
    """A node and its privacy manager with their endpoints."""

    node: Node
    rpc: Endpoint
    tessera: Endpoint


class Consortium:
    """N nodes in this process. Use it as an asynchronous context manager.

    `block_period` and `empty_block_period` are in seconds: without transactions a block is made
    each `empty_block_period` (the block period, when it is None). Port 0 stands for free ports;
    otherwise node i listens at base_port + 2i and its privacy manager at base_port + 2i + 1.
    """

    def __init__(
        self,
        *,
        nodes: int = 3,
        block_period: float = 1.0,
        empty_block_period: float | None = None,
        base_port: int = 0,
        host: str = "127.0.0.1",
        chain_id: int = DEFAULT_CHAIN_ID,
        directory: Path | None = None,
    ) -> None:
        self.block_period = block_period
        self.empty_block_period = block_period if empty_block_period is None else empty_block_period
        self.directory = directory
        managers = [PrivacyManager(f"node-{i + 1}", _new_public_key()) for i in range(nodes)]
        members = [Node(manager.name, manager, chain_id) for manager in managers]
        validators = [keccak(base64.b64decode(manager.public_key))[12:] for manager in managers]
        self.ledger = SharedLedger(members, validators, chain_id)
        self.members = tuple(
            self._member(node, host, base_port + 2 * i if base_port else 0)
            for i, node in enumerate(members)
        )
        self._by_name = {member.node.name: member for member in self.members}
        self._producing = asyncio.Event()
        self._producing.set()
        self._producer: asyncio.Task[None] | None = None

    def _member(self, node: Node, host: str, port: int) -> Member:
        rpc = Endpoint(
            node_handler(NodeMethods(self.ledger, node)),
            lambda _, body: called_methods(body),
            host=host,
            port=port,
        )
        tessera = Endpoint(
            privacy_handler(self.ledger.privacy, node.manager, lambda *_: None),
            lambda request, _: [request.path],
            host=host,
            port=port + 1 if port else 0,
            body_limit=64 * 1024 * 1024,
        )
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
        except BaseException:
            await self.stop()
            raise
        self._producer = asyncio.create_task(self._produce(), name="sandbox blocks")

    async def stop(self) -> None:
        """Close the ports and make no more blocks."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.cancel()
            await asyncio.gather(producer, return_exceptions=True)
        for member in self.members:
            await member.rpc.stop()
            await member.tessera.stop()

    @property
    def network(self) -> dict[str, object]:
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
            await asyncio.sleep(self.block_period)
            await self._producing.wait()
            due = time.monotonic() - last >= self.empty_block_period
            if due or len(self.ledger.pool):
                last = time.monotonic()
                self.make_block()

    def make_block(self) -> Block:
        """Make a block now, whatever the period, and also while the chain is halted."""
        timestamp = max(int(time.time()), self.ledger.chain.head.timestamp)
        return self.ledger.make_block(timestamp)

    # -- faults --------------------------------------------------------------------------------

    def member(self, name: str) -> Member:
        """A member by its node's name. Raises KeyError."""
        return self._by_name[name]

    def halt_blocks(self) -> None:
        """Let the chain stand still; transactions are still taken."""
        self._producing.clear()

    def resume_blocks(self) -> None:
        """Let blocks be made again."""
        self._producing.set()

    async def node_down(self, name: str) -> None:
        """Let a node refuse connections; the others go on."""
        await self.member(name).rpc.stop()

    async def node_up(self, name: str) -> None:
        """Let a node answer again, on its old port."""
        await self.member(name).rpc.start()

    async def privacy_manager_down(self, name: str) -> None:
        """Let a privacy manager refuse connections, also those of other managers."""
        self.member(name).node.manager.up = False
        await self.member(name).tessera.stop()

    async def privacy_manager_up(self, name: str) -> None:
        """Let a privacy manager answer again, on its old port, with what it held."""
        self.member(name).node.manager.up = True
        await self.member(name).tessera.start()

    def inject(self, name: str, fault: Fault, *, at: str = "rpc") -> None:
        """Let a fault wait at a member's `rpc` or `tessera` endpoint."""
        member = self.member(name)
        (member.rpc if at == "rpc" else member.tessera).faults.add(fault)

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


def _new_public_key() -> str:
    return base64.b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
