"""An engine to test against, and contracts of made-up stations on it."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from real_engines import require_engines
from steelyard.ledger.protocol import (
    ContractView,
    ContractWriter,
    Deployment,
    NodeRef,
    Registration,
    SigningKey,
)
from steelyard.ledger.quorum import QuorumLedger
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings
from steelyard.ticket import AlibiHead, Ticket, TicketFilter

NODES = 3  # the station's, the customer's, and one that is no party


@dataclass(frozen=True, slots=True)
class Engine:
    """The nodes to test against, and whose they are: a sandbox's or a real network's."""

    name: str
    nodes: tuple[NodeRef, ...]
    consortium: object = None
    network: LocalNetwork | None = None


@contextmanager
def real_programs(directory: Path, *, tethered: bool = False) -> Iterator[LocalNetwork]:
    """A network of the real programs, or a skip that says what is missing.

    A tethered one ends with the tests' process also when that is killed; its parts must not be
    started again in another thread, as they would end with it.
    """
    require_engines()
    with LocalNetwork(directory, NetworkSettings(nodes=NODES), tethered=tethered) as network:
        yield network


def references(network: LocalNetwork) -> tuple[NodeRef, ...]:
    """The network's nodes, as the ledger knows them."""
    return tuple(
        NodeRef(node.name, node.rpc_url, node.tessera_url, node.tessera_public_key)
        for node in network.nodes
    )


def new_key() -> SigningKey:
    """A key that nobody has used."""
    return SigningKey(secrets.token_bytes(32))


async def deploy(engine: Engine, ledger: QuorumLedger, key: SigningKey) -> ContractWriter:
    """A contract of this key at the first node, private to it and to the second."""
    station, customer, *_ = engine.nodes
    deployment = await ledger.deploy(key, station, [customer.tessera_key])
    view = ContractView(deployment.address, station)
    return ContractWriter(view, key, (customer.tessera_key,))


class AbreastLedger(QuorumLedger):
    """Comes back from registering when every node that is up has the receipts' blocks.

    A receipt says that of the station's node alone; another may import the block a moment later,
    and what it shows then is what the tests are about.
    """

    everyone: tuple[NodeRef, ...] = ()

    async def register(
        self,
        writer: ContractWriter,
        tickets: Sequence[Ticket],
        alibi_head: AlibiHead | None = None,
    ) -> list[Registration]:
        outcomes = await super().register(writer, tickets, alibi_head)
        await self._abreast(
            max((one.receipt.block_number for one in outcomes if one.receipt), default=0)
        )
        return outcomes

    async def deploy(self, key: SigningKey, node: NodeRef, parties: Sequence[str]) -> Deployment:
        deployment = await super().deploy(key, node, parties)
        await self._abreast(deployment.block_number)
        return deployment

    async def _abreast(self, block: int) -> None:
        async with asyncio.timeout(60):
            for node in self.everyone:
                while (await self.health(node)).block_number in range(block):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def counted(ledger: QuorumLedger, view: ContractView, awaited: int) -> int:
    """How many tickets a party's node has, when they are as many as awaited or after a minute."""
    until = asyncio.get_running_loop().time() + 60
    while (found := await ledger.count(view, TicketFilter())) < awaited:
        if asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(0.05)
    return found
