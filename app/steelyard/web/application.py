"""Puts an API together: endpoints, middleware, documentation, health and metrics."""

from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import hdrs, web

from steelyard.web.auth import Authenticator
from steelyard.web.dispatch import Dispatcher, expect
from steelyard.web.documentation import Documentation
from steelyard.web.endpoint import Call, Endpoint, NoQuery, Response
from steelyard.web.errors import NotFound
from steelyard.web.health import Health, ReadyCheck
from steelyard.web.metrics import CONTENT_TYPE, HttpMetrics
from steelyard.web.middleware import add_headers, limit_rate, observe, render_problems
from steelyard.web.openapi import ApiInfo
from steelyard.web.ratelimit import RateLimiter
from steelyard.web.settings import Limits
from steelyard.web.silence import SilentConnections

ENDPOINTS = web.AppKey("endpoints", list[Endpoint])
SILENCE = web.AppKey("silence", SilentConnections)

Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def build_application(
    info: ApiInfo,
    endpoints: Sequence[Endpoint],
    *,
    authenticator: Authenticator | None = None,
    limits: Limits | None = None,
    limiter: RateLimiter | None = None,
    ready_checks: Mapping[str, ReadyCheck] | None = None,
    metrics: HttpMetrics | None = None,
    metrics_networks: Collection[Network] = LOOPBACK,
) -> web.Application:
    """An application that serves the endpoints, and beside them /healthz, /readyz, /metrics,
    /openapi.json and /docs.

    `ready_checks` are coroutines that raise when what they look at does not work. /metrics answers
    the `metrics_networks` only: how busy the others are is nobody's business.
    """
    limits = limits or Limits()
    metrics = metrics or HttpMetrics()
    everything = [
        *endpoints,
        *Health(ready_checks or {}).endpoints(),
        _metrics_endpoint(metrics, metrics_networks),
    ]
    documentation = Documentation(info)
    everything += documentation.endpoints()
    documentation.describes(everything)
    silence = SilentConnections()
    middlewares = [observe(metrics, silence), render_problems]
    if limiter is not None:
        middlewares.append(limit_rate(limiter))
    app = web.Application(middlewares=middlewares, client_max_size=limits.max_body_bytes)
    app[ENDPOINTS] = everything
    app[SILENCE] = silence
    app.on_response_prepare.append(add_headers)
    for endpoint in everything:
        _add(app, Dispatcher(endpoint, limits, authenticator))
    return app


def _add(app: web.Application, dispatcher: Dispatcher) -> None:
    endpoint = dispatcher.endpoint
    methods = [endpoint.method]
    if endpoint.answers_head:
        methods.append("HEAD")
    for method in methods:
        app.router.add_route(method, endpoint.path, dispatcher.serve, expect_handler=expect)


def _metrics_endpoint(metrics: HttpMetrics, networks: Collection[Network]) -> Endpoint:
    async def read(call: Call[None, NoQuery]) -> web.Response:
        remote = (call.request.remote or "").partition("%")[0]
        address = ip_address(remote) if remote else None
        if address is None or not any(address in network for network in networks):
            raise NotFound("There is nothing at this path.")
        return web.Response(body=metrics.exposition(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    return Endpoint(
        method="GET",
        path="/metrics",
        handler=read,
        operation_id="getMetrics",
        tag="operations",
        summary="Metrics in Prometheus' text format",
        description="For the networks that the setting metrics_networks lists; 404 for others.",
        public=True,
        responses={200: Response("The metrics.", {"text/plain": None})},
        problems=(NotFound,),
    )
