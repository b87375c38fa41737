"""Puts the management API together; the one place that knows all its parts."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from aiohttp import web

from steelyard import __version__
from steelyard.identity.authenticator import Authenticator
from steelyard.identity.jwks import JwksFile
from steelyard.identity.passwords import PasswordHasher
from steelyard.identity.service import IdentityService
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TokenIssuer, TokenVerifier
from steelyard.ledger.connections import open_session
from steelyard.ledger.protocol import Ledger
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.registry.audit import AuditLog
from steelyard.registry.customers import Customers
from steelyard.registry.devices import Devices
from steelyard.registry.enrolment.routes import Enrolment
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.registry.nodes import Nodes
from steelyard.registry.oauth import OAuthServer
from steelyard.registry.registration import StationRegistrar
from steelyard.registry.routes import Routes
from steelyard.registry.settings import ManagementSettings
from steelyard.registry.stations import Stations
from steelyard.registry.users import Users
from steelyard.registry.webhooks import Webhooks
from steelyard.registry.weighbridges import Weighbridges
from steelyard.store.database import Database
from steelyard.store.errors import DatabaseUnavailable
from steelyard.store.schema import require_schema
from steelyard.store.settings import StoreSettings, VaultSettings
from steelyard.store.vault import Vault
from steelyard.web.application import build_application
from steelyard.web.openapi import ApiInfo
from steelyard.web.ratelimit import RateLimiter

logger = structlog.get_logger(__name__)

# What a registration needs beside the deployment: to reserve, to complete, to undo.
_REGISTRATION_MARGIN_SECONDS = 45.0

INFO = ApiInfo(
    title="Steelyard authentication & management API",
    version=__version__,
    description="Log-ins and tokens; customers, users, stations, weighbridges, devices, routes, "
    "webhooks and ledger nodes. What belongs to another customer is answered exactly like what "
    "does not exist.",
    security_schemes={
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token from /oauth2/token.",
        }
    },
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The sections that the management API reads."""

    management: ManagementSettings
    store: StoreSettings
    vault: VaultSettings
    identity: IdentitySettings
    ledger: LedgerSettings
    enrolment: EnrolmentSettings = field(default_factory=EnrolmentSettings)


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts of identity that the API needs."""

    service: IdentityService
    verifier: TokenVerifier
    published_keys: Callable[[], bytes]
    issuer_url: str

    @staticmethod
    def from_settings(database: Database, settings: IdentitySettings) -> "Identity":
        """The parts with the key files that the settings name. Raises ConfigurationError."""
        issuer = TokenIssuer.from_settings(settings)
        verifier = TokenVerifier.from_settings(settings)
        service = IdentityService(database, settings, issuer, verifier, PasswordHasher(settings))
        keys = _keys_of(issuer, settings)
        return Identity(service, verifier, keys, settings.issuer)


def _keys_of(issuer: TokenIssuer, settings: IdentitySettings) -> Callable[[], bytes]:
    if settings.jwks_file is not None:
        published = JwksFile(settings.jwks_file)
        return lambda: published.current().as_json()
    alone = json.dumps({"keys": [issuer.verification_key.as_jwk()]}).encode()
    return lambda: alone


def build(
    settings: ManagementSettings,
    database: Database,
    vault: Vault,
    identity: Identity,
    ledger: Ledger,
    enrolment: EnrolmentSettings | None = None,
) -> web.Application:
    """The application over parts that are made already, as a test makes them.

    Raises AuthorityUnusable when the enrolment's files are not usable.
    """
    registrar = StationRegistrar(database, vault, ledger, deploy_seconds=settings.deploy_seconds)
    create_seconds = settings.deploy_seconds + _REGISTRATION_MARGIN_SECONDS
    devices = Devices(database, vault)
    rooms = (
        OAuthServer(identity.service, identity.published_keys, identity.issuer_url),
        Nodes(database, vault),
        Customers(database, vault),
        Users(database, identity.service),
        Stations(database, vault, registrar, create_seconds),
        Weighbridges(database),
        devices,
        Enrolment(database, vault, devices, enrolment or EnrolmentSettings()),
        Routes(database, vault),
        Webhooks(database, vault),
        AuditLog(database),
    )
    app = build_application(
        INFO,
        [endpoint for room in rooms for endpoint in room.endpoints()],
        authenticator=Authenticator(identity.verifier, database),
        limits=settings.limits,
        limiter=RateLimiter(settings.rate_per_second, settings.rate_burst),
        ready_checks={
            "database": database.ping,
            "schema": partial(require_schema, database),
        },
        metrics_networks=settings.metrics_networks,
    )

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        await _look(database, registrar)
        yield
        identity.service.close()
        await database.dispose()

    app.cleanup_ctx.append(lifetime)
    return app


async def _look(database: Database, registrar: StationRegistrar) -> None:
    """Clear abandoned registrations away. Raises SchemaMismatch."""
    try:
        await require_schema(database)
        released = await registrar.release_abandoned()
    except DatabaseUnavailable:
        # The database may come later than the API; until then /readyz says what is missing.
        logger.warning("database not available at start")
        return
    if released:
        logger.info("abandoned registrations cleared", count=released)


def build_from(configuration: Configuration) -> web.Application:
    """The application as configured. Call it inside of the event loop that will run it."""
    database = Database(configuration.store)
    vault = Vault.load(configuration.vault.key_ring_file)
    identity = Identity.from_settings(database, configuration.identity)
    session = open_session(configuration.ledger)
    ledger = QuorumLedger(session, configuration.ledger)

    async def close_ledger(_: web.Application) -> AsyncIterator[None]:
        yield
        await ledger.close()
        await session.close()

    app = build(
        configuration.management, database, vault, identity, ledger, configuration.enrolment
    )
    # First in, last out: requests that are still at work need the ledger. And what is entered
    # first is left again when the rest does not start.
    app.cleanup_ctx.insert(0, close_ledger)
    return app
