"""Puts the tickets API together; the one place that knows all its parts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from steelyard import __version__
from steelyard.identity.authenticator import Authenticator
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TokenVerifier
from steelyard.ledger.connections import open_session
from steelyard.ledger.gathering import Gatherer
from steelyard.ledger.protocol import Ledger
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.store.database import Database
from steelyard.store.schema import require_schema
from steelyard.store.settings import StoreSettings, VaultSettings
from steelyard.store.vault import Vault
from steelyard.tickets.deliveries import Deliveries
from steelyard.tickets.directory import Directory
from steelyard.tickets.known_routes import KnownRoutes
from steelyard.tickets.load import show_load
from steelyard.tickets.nodes import CustomersNodes
from steelyard.tickets.route_checks import RouteChecks
from steelyard.tickets.route_search import RouteSearch
from steelyard.tickets.route_views import RouteViews
from steelyard.tickets.search import TicketSearch
from steelyard.tickets.service import TicketService
from steelyard.tickets.settings import TicketsSettings
from steelyard.tickets.teller import Teller
from steelyard.tickets.views import TicketViews, endpoints
from steelyard.tickets.watch import NodeWatch
from steelyard.tickets.webhook import WebhookSender
from steelyard.web.application import build_application
from steelyard.web.metrics import HttpMetrics
from steelyard.web.openapi import ApiInfo
from steelyard.web.ratelimit import RateLimiter

INFO = ApiInfo(
    title="Steelyard weighing tickets API",
    version=__version__,
    description="Stations register weighing tickets; their customers' users query and prove them. "
    "Weights are integers in grams, times RFC 3339 in UTC.",
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The sections that the tickets API reads."""

    tickets: TicketsSettings
    store: StoreSettings
    vault: VaultSettings
    identity: IdentitySettings
    ledger: LedgerSettings


def build(
    settings: TicketsSettings,
    database: Database,
    vault: Vault,
    verifier: TokenVerifier,
    ledger: Ledger,
    ledger_settings: LedgerSettings,
) -> web.Application:
    """The application over parts that are made already, as a test makes them."""
    search = TicketSearch(ledger, settings.search_limits)
    gatherer = Gatherer(ledger, ledger_settings)
    directory = Directory(database, vault)
    route_search = RouteSearch(
        search, scan=settings.route_scan_tickets, rounds=settings.route_rounds
    )
    webhooks = settings.webhook_limits
    checks = RouteChecks(
        database, vault, directory, search, route_search, give_up_ms=webhooks.give_up_ms
    )
    service = TicketService(directory, ledger, gatherer, search, checks)
    routes = RouteViews(directory, KnownRoutes(database, vault), route_search)
    metrics = HttpMetrics()
    deliveries = Deliveries(database, vault, metrics.registry, give_up_ms=webhooks.give_up_ms)
    teller = Teller(checks, deliveries, partial(WebhookSender, webhooks), pause=webhooks.pause)
    show_load(gatherer, metrics.registry)
    watch = NodeWatch(
        CustomersNodes(database, vault), ledger, metrics.registry, pause=settings.node_watch_seconds
    )
    app = build_application(
        INFO,
        [*endpoints(TicketViews(service)), *routes.endpoints()],
        authenticator=Authenticator(verifier, database),
        limits=settings.limits,
        limiter=RateLimiter(settings.rate_per_second, settings.rate_burst),
        ready_checks={
            "database": database.ping,
            "schema": partial(require_schema, database),
            "ledger": watch.check,
        },
        metrics=metrics,
        metrics_networks=settings.metrics_networks,
    )

    async def close_database(_: web.Application) -> AsyncIterator[None]:
        yield
        await database.dispose()

    async def close_gatherer(_: web.Application) -> AsyncIterator[None]:
        yield
        await gatherer.close()

    app.cleanup_ctx.append(close_database)
    app.cleanup_ctx.append(watch.running)
    app.cleanup_ctx.append(teller.running)
    app.cleanup_ctx.append(close_gatherer)
    return app


def build_from(configuration: Configuration) -> web.Application:
    """The application as configured. Call it inside of the event loop that will run it."""
    database = Database(configuration.store)
    vault = Vault.load(configuration.vault.key_ring_file)
    verifier = TokenVerifier.from_settings(configuration.identity)
    session = open_session(configuration.ledger)
    ledger = QuorumLedger(session, configuration.ledger)

    async def close_ledger(_: web.Application) -> AsyncIterator[None]:
        yield
        await ledger.close()
        await session.close()

    app = build(configuration.tickets, database, vault, verifier, ledger, configuration.ledger)
    app.cleanup_ctx.insert(0, close_ledger)  # closed last: the watch asks until it is ended
    return app
