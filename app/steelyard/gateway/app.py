"""Puts the gateway together; the one place that knows all its parts."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from steelyard import __version__
from steelyard.errors import ConfigurationError
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.requests import observe
from steelyard.gateway.settings import GatewaySettings
from steelyard.gateway.trust import MutualTls
from steelyard.gateway.upstream import Served
from steelyard.gateway.views import Door
from steelyard.web.application import SILENCE, build_application
from steelyard.web.logs import protocol_logger
from steelyard.web.middleware import add_headers, render_problems
from steelyard.web.openapi import ApiInfo
from steelyard.web.server import serve, write_port
from steelyard.web.silence import SilentConnections

OPERATIONS = ApiInfo(
    title="Steelyard gateway, operations",
    version=__version__,
    description="Health and metrics of a gateway, for its own host.",
)


def build(settings: GatewaySettings, tls: MutualTls) -> web.Application:
    """The application. Call it inside of the event loop that will run it."""
    nodes = {node.name: Served(node, settings) for node in settings.nodes}
    metrics = GatewayMetrics(lambda: tls.expires)
    silence = SilentConnections()
    app = web.Application(
        middlewares=[observe(metrics, silence), render_problems],
        client_max_size=settings.max_body_bytes,
    )
    app[SILENCE] = silence
    app.on_response_prepare.append(add_headers)
    Door(settings, tls, nodes).add_to(app.router)

    async def upstreams(_: web.Application) -> AsyncIterator[None]:
        yield
        await asyncio.gather(*(node.close() for node in nodes.values()))

    async def operations(_: web.Application) -> AsyncIterator[None]:
        async with _operations(settings, nodes, metrics):
            yield

    app.cleanup_ctx.append(upstreams)
    app.cleanup_ctx.append(operations)
    return app


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigurationError for files that are no good."""
    tls = MutualTls(settings)
    await serve(build(settings, tls), settings, "gateway", tls)


@contextlib.asynccontextmanager
async def _operations(
    settings: GatewaySettings, nodes: Mapping[str, Served], metrics: GatewayMetrics
) -> AsyncIterator[None]:
    """Health and metrics on loopback, without TLS: they concern nobody beyond this host."""
    checks = {f"{name}: JSON-RPC": node.check_rpc for name, node in nodes.items()}
    checks |= {f"{name}: privacy manager": node.check_tessera for name, node in nodes.items()}
    app = build_application(OPERATIONS, [], ready_checks=checks, metrics=metrics.http)
    runner = web.AppRunner(
        app, access_log=None, logger=protocol_logger(), handle_signals=False, shutdown_timeout=1.0
    )
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", settings.metrics_port).start()
        except OSError as error:
            raise ConfigurationError(
                f"gateway.metrics_port: cannot listen on 127.0.0.1 port {settings.metrics_port}: "
                f"{os.strerror(error.errno) if error.errno else 'it is not free'}"
            ) from None
        if settings.metrics_port_file:
            write_port(settings.metrics_port_file, runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()
