"""Around every request: its id, its log line, its metrics, and the rendering of what went wrong."""

import asyncio
import json
import re
import secrets
import time

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from steelyard.errors import Problem
from steelyard.web.dispatch import PRINCIPAL_KEY, Dispatcher
from steelyard.web.errors import (
    InternalError,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
)
from steelyard.web.metrics import HttpMetrics
from steelyard.web.ratelimit import RateLimiter, client_key
from steelyard.web.silence import SilentConnections

PROBLEM_JSON = "application/problem+json"
REQUEST_ID = "X-Request-Id"
REQUEST_ID_KEY = web.RequestKey("request_id", str)
UNMATCHED = "(unmatched)"

# Where the rest of the body may still come: the connection is of no further use.
_BODY_UNREAD = frozenset({408, 413})

_RESPONSE_KEY = web.RequestKey("response", web.StreamResponse)
# The slug of the problem that a request failed by here.
_FAILURE_KEY = web.RequestKey("failure", str)
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}

logger = structlog.get_logger(__name__)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The signal that puts the request id and the security headers on every response."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "steelyard"
    if REQUEST_ID_KEY in request:
        response.headers[REQUEST_ID] = request[REQUEST_ID_KEY]
    request[_RESPONSE_KEY] = response


def route_template(request: web.Request) -> str:
    """The route that a request took, as its template: bounded, and free of what a caller chose."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else UNMATCHED


def observe(metrics: HttpMetrics, silence: SilentConnections) -> Middleware:
    """Give the request its id, count and time it, and write its one line in the access log.

    The line has the route's template instead of the path, and no query, header or body.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        silence.heard(request.protocol)
        given = request.headers.get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(16)
        request[REQUEST_ID_KEY] = request_id
        route, started, status = route_template(request), time.perf_counter(), 499
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            metrics.in_flight.inc()
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                seconds = time.perf_counter() - started
                metrics.in_flight.dec()
                metrics.observe(request.method, route, status, seconds)
                if _FAILURE_KEY in request:
                    metrics.note_problem(request[_FAILURE_KEY])
                principal = request.get(PRINCIPAL_KEY)
                logger.info(
                    "request",
                    method=request.method[:16],
                    route=route,
                    status=status,
                    milliseconds=round(seconds * 1000, 1),
                    client=request.remote,
                    subject=principal.id if principal else None,
                )

    return middleware


def limit_rate(limiter: RateLimiter) -> Middleware:
    """Refuse a client that asks faster than it may, with Retry-After."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        limiter.spend(client_key(request))
        return await handler(request)

    return middleware


@web.middleware
async def render_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render what is raised below as RFC 9457 problem details; nothing else leaves the server."""
    try:
        return await handler(request)
    except Problem as problem:
        return _answer(request, problem)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _answer(request, _of_http(error))
    except (asyncio.CancelledError, ConnectionError):
        raise  # the client went away: there is nobody to answer
    except Exception as error:
        logger.exception("unexpected error", error=type(error).__name__)
        return _answer(request, InternalError())


def _answer(request: web.Request, problem: Problem) -> web.StreamResponse:
    if problem.status >= 500 and not isinstance(problem, InternalError):
        logger.warning("problem", type=problem.type, detail=problem.detail)
    if problem.status >= 500:
        request[_FAILURE_KEY] = problem.slug
    if _RESPONSE_KEY in request:
        # Half a stream is out already. Cutting the connection is the only way left to say so.
        logger.warning("stream cut off", type=problem.type)
        if request.transport is not None:
            request.transport.abort()
        return request[_RESPONSE_KEY]
    response = render_for(request, problem)
    if problem.status in _BODY_UNREAD:
        response.force_close()
    return response


def render_for(request: web.Request, problem: Problem) -> web.Response:
    """A problem in the form that the request's endpoint uses."""
    dispatcher = getattr(request.match_info.handler, "__self__", None)
    if isinstance(dispatcher, Dispatcher) and dispatcher.endpoint.render:
        return dispatcher.endpoint.render(problem)
    return problem_response(problem)


def problem_response(problem: Problem) -> web.Response:
    """A problem as application/problem+json."""
    return web.Response(
        status=problem.status,
        text=json.dumps(problem.as_dict(), ensure_ascii=False),
        content_type=PROBLEM_JSON,
        headers=problem.headers,
    )


def _of_http(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPNotFound):
        return NotFound("There is nothing at this path.")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return MethodNotAllowed(f"Allowed here: {allowed}.", headers={"Allow": allowed})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return PayloadTooLarge()
    if error.status == 400:
        return MalformedBody()
    return InternalError()
