"""An engine to test against, and contracts of made-up stations on it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.ledger.quorum import QuorumLedger
from steelyard.network.programs import GETH_VARIABLE, TESSERA_VARIABLE
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings

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
    missing = [name for name in (GETH_VARIABLE, TESSERA_VARIABLE) if not os.environ.get(name)]
    if missing:
        pytest.skip(f"the real engine needs {' and '.join(missing)}")
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
