"""Around every request: what became of it, for the client, the metrics and the log.

A header tells the client of an answer that is not the node's whether the node can have acted:
a lost answer must be looked into, and where nothing arrived the same may be sent again at once.
"""

import time
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.upstream import STAGE
from steelyard.web.middleware import route_template
from steelyard.web.silence import SilentConnections

OUTCOME_HEADER = "Steelyard-Outcome"  # steelyard.ledger.jsonrpc reads it
UNREACHED = "unreached"
UNKNOWN = "unknown"

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Account:
    """What is known of a request so far: words of the settings and of the list of methods only."""

    client: str = ""
    node: str = ""
    asked: str = ""
    writes: bool = False


ACCOUNT: web.RequestKey[Account] = web.RequestKey("account")


def observe(metrics: GatewayMetrics, silence: SilentConnections) -> Middleware:
    """Tell the client where its request came to, count it, and log it without what was in it.

    What changes something and what was refused is logged always, reading at the level debug.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        silence.heard(request.protocol)
        account = request[ACCOUNT] = Account()
        request[STAGE] = "own"
        started, status = time.perf_counter(), 499  # the client left, unless it gets an answer
        try:
            response = await handler(request)
            status = response.status
            outcome = _outcome(request, status)
            if not response.prepared:
                if outcome in {UNREACHED, UNKNOWN}:
                    response.headers[OUTCOME_HEADER] = outcome
                if not account.client:
                    response.force_close()
            return response
        finally:
            seconds, outcome = time.perf_counter() - started, _outcome(request, status)
            metrics.http.observe(request.method, route_template(request), status, seconds)
            metrics.count(account.client, account.node, account.asked, outcome)
            if outcome == "answered":
                write = logger.info if account.writes else logger.debug
            else:
                write = logger.warning
            write(
                "call",
                client=account.client,
                node=account.node,
                asked=account.asked,
                outcome=outcome,
                status=status,
                milliseconds=round(seconds * 1000, 1),
                address=request.remote,
            )

    return middleware


def _outcome(request: web.Request, status: int) -> str:
    if request[STAGE] == "relayed":
        return "answered"
    if request[STAGE] == "given":
        return UNKNOWN
    return UNREACHED if status >= 400 else "refused"
