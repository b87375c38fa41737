"""A tickets API over SQLite and a ledger in memory."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from database_fixtures import migrated_sqlite
from fakes import FakeLedger
from registry_world import write_certificate
from steelyard.identity.keys import KeySet, generate
from steelyard.identity.tokens import TokenIssuer, TokenVerifier
from steelyard.ledger.settings import LedgerSettings
from steelyard.store.database import Database
from steelyard.store.key_ring import KeyRing
from steelyard.store.settings import StoreSettings
from steelyard.store.vault import Vault
from steelyard.tickets.app import build
from steelyard.tickets.settings import TicketsSettings
from tickets_world import World, populate
from webhook_kit import Receiving

__all__ = ["migrated_sqlite"]

ISSUER, AUDIENCE = "https://issuer.test", "steelyard"


@pytest.fixture(scope="session")
def receiving(tmp_path_factory: pytest.TempPathFactory) -> Receiving:
    """The certificate of a webhook's server on 127.0.0.1."""
    return Receiving(*write_certificate(tmp_path_factory.mktemp("receiving")))


@dataclass
class KnownKeys:
    """A key source of the keys given."""

    held: KeySet

    async def keys(self, wanted: str) -> KeySet:
        del wanted
        return self.held


@pytest.fixture
async def world(
    migrated_sqlite: Path, tmp_path: Path, receiving: Receiving
) -> AsyncIterator[World]:
    """Customers a and b, a user and an administrator each; a has two stations, b has one."""
    path = tmp_path / "steelyard.db"
    shutil.copyfile(migrated_sqlite, path)
    path.chmod(0o600)
    database = Database(StoreSettings(url=f"sqlite:///{path}"))
    vault = Vault(KeyRing.generate())
    ledger = FakeLedger()
    key = generate()
    issuer = TokenIssuer(key, issuer=ISSUER, audience=AUDIENCE)
    verifier = TokenVerifier(
        KnownKeys(KeySet([issuer.verification_key])), issuer=ISSUER, audience=AUDIENCE
    )
    settings = TicketsSettings(
        port=0,
        certificate=Path("unused"),
        private_key=Path("unused"),
        rate_burst=100_000,
        webhook_networks=(IPv4Network("127.0.0.0/8"),),
        webhook_ca_file=receiving.authority,
        webhook_pause_seconds=0.05,
    )
    app = build(settings, database, vault, verifier, ledger, LedgerSettings())
    async with TestClient(TestServer(app)) as client:
        made = World(client, database, vault, ledger)
        await populate(made, issuer.issue)
        yield made
