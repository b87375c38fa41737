"""An engine to test against, and contracts of made-up stations on it."""

import secrets
from dataclasses import dataclass

from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.ledger.quorum import QuorumLedger


@dataclass(frozen=True, slots=True)
class Engine:
    """The nodes to test against. `consortium` is the sandbox's, for faults only it can make."""

    name: str
    nodes: tuple[NodeRef, ...]
    consortium: object = None


def new_key() -> SigningKey:
    """A key that nobody has used."""
    return SigningKey(secrets.token_bytes(32))


async def deploy(engine: Engine, ledger: QuorumLedger, key: SigningKey) -> ContractWriter:
    """A contract of this key at the first node, private to it and to the second."""
    station, customer, *_ = engine.nodes
    deployment = await ledger.deploy(key, station, [customer.tessera_key])
    view = ContractView(deployment.address, station)
    return ContractWriter(view, key, (customer.tessera_key,))
