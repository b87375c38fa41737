"""The platform as the SmartBox sees it: a token, and a batch of tickets. HTTPS with TLS 1.3."""

import base64
import math
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from structlog import get_logger

from steelyard.errors import ConfigurationError
from steelyard.json_text import read_json
from steelyard.smartbox.errors import (
    BatchRefused,
    PlatformProblem,
    StationRefused,
)
from steelyard.smartbox.http_date import read_http_date
from steelyard.smartbox.outbox.outbox import Waiting
from steelyard.smartbox.station_clock import StationClock
from steelyard.smartbox.uplink.access_token import AccessToken
from steelyard.smartbox.uplink.answers import TRANSIENT, Answers, read_answers, read_problem
from steelyard.smartbox.uplink.asking import failures_told, read_bounded
from steelyard.smartbox.uplink.peers import Peers
from steelyard.ticket import AlibiHead

log = get_logger(__name__)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_TOKEN_SECONDS = 86_400
GREET_SECONDS = 60.0
MAX_TITLE_LENGTH = 200
MAX_DELAY_DIGITS = 9
HEAD_MEMBER = "alibiHead"
_DELAY = re.compile(r"0*(\d+)", re.ASCII)
_REFUSALS = frozenset({400, 409, 413, 415, 422})

Clock = Callable[[], float]


def make_tls_context(ca_file: Path) -> ssl.SSLContext:
    """TLS 1.3 only, and no authority but this one. Raises ConfigurationError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        reason = "not PEM certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"smartbox.ca_file: {ca_file} cannot be used: {reason}") from None
    return context


def make_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """The time limit of one request; a quarter of it is for the connection.

    A network that swallows everything is told from a platform that is too busy to answer so.
    """
    return aiohttp.ClientTimeout(total=seconds, sock_connect=seconds / 4)


def make_session(
    tls: ssl.SSLContext, seconds: float, proxy: str | None = None
) -> aiohttp.ClientSession:
    """A session with the platform's APIs; `proxy` is the URL of an HTTP proxy on the way.

    TLS goes through it from end to end: a proxy sees the platform's name and no more.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls),
        timeout=make_timeout(seconds),
        # The platform sets no cookies; whoever poses as it should have no parser to play with.
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
    )


class Platform:
    """The management API's token endpoint and the tickets API's batch endpoint.

    Any number of batches may be sent side by side. `clock` is a monotonic clock in seconds: a
    token's age does not depend on the wall clock. `station_clock` learns the time from answers,
    but none at which a server's certificate is not valid, if `peers` watch those: who went by such
    a time would reach no platform any more that could tell the right one.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        management_url: str,
        tickets_url: str,
        client_id: str,
        client_secret: str,
        clock: Clock = time.monotonic,
        station_clock: StationClock | None = None,
        peers: Peers | None = None,
    ) -> None:
        self._session = session
        self._token_url = f"{management_url}/oauth2/token"
        self._batch_url = f"{tickets_url}/v1/tickets/batch"
        self._credentials = _basic_auth(client_id, client_secret)
        self._token = AccessToken(self._fetch_token, clock)
        self._station_clock = station_clock
        self._peers = peers
        self._clock = clock
        self._anew = -math.inf

    async def token(self) -> str:
        """The station's access token. Raises PlatformProblem; StationRefused for a revoked one."""
        return await self._token.get()

    @asynccontextmanager
    async def with_token(self) -> AsyncIterator[str]:
        """A token for one request; with its failure it is forgotten, for it may be the reason.

        Raises PlatformProblem; StationRefused for a revoked station.
        """
        token = await self._token.get()
        try:
            yield token
        except PlatformProblem:
            self._token.forget(token)
            raise

    async def register(self, tickets: Sequence[Waiting], head: AlibiHead | None = None) -> Answers:
        """Send one batch; safe to repeat, for the tickets' ids make it idempotent.

        `head` is how far the alibi memory goes: the transaction carries it. A platform from before
        there were heads gets the tickets without.

        Raises BatchRefused when the platform will never take this batch, PlatformProblem when it
        may take it later.
        """
        status, headers, answer = await self._offer(_batch_body(tickets, head))
        problem = read_problem(answer, status) if status != 200 else {}
        if head is not None and status in _REFUSALS and _does_not_know(problem, HEAD_MEMBER):
            log.warning("the platform does not know alibi heads yet: sent without")
            status, headers, answer = await self._offer(_batch_body(tickets, None))
            problem = read_problem(answer, status) if status != 200 else {}
        if status == 200:
            return read_answers(answer, [ticket.id for ticket in tickets])
        title = str(problem.get("title", ""))[:MAX_TITLE_LENGTH]
        detail = f"the tickets API answers {status}: {title}"
        if status in _REFUSALS:
            raise BatchRefused(detail, problem)
        raise PlatformProblem(detail, retry_after=_retry_after(headers, status))

    async def greet(self) -> None:
        """Ask for a token, for the answer also tells the time: a new one until it did.

        An answer that was too slow, or had no time in it, leaves a token that is good for minutes:
        once a minute another one is asked for. Raises PlatformProblem.
        """
        knows = self._station_clock is None or self._station_clock.known
        if not knows and self._clock() - self._anew >= GREET_SECONDS:
            self._anew = self._clock()
            self._token.renew()
        await self._token.get()

    async def _offer(self, body: bytes) -> tuple[int, Any, bytes]:
        """Post a batch with a token; with a new one, once, if the platform does not take it."""
        token = await self._token.get()
        status, headers, answer = await self._post_batch(body, token)
        if status == 401:
            self._token.forget(token)
            token = await self._token.get()
            status, headers, answer = await self._post_batch(body, token)
        if status == 401:
            self._token.forget(token)
        return status, headers, answer

    async def _post_batch(self, body: bytes, token: str) -> tuple[int, Any, bytes]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._post(self._batch_url, headers, body)

    async def _fetch_token(self) -> tuple[str, float]:
        headers = {
            "Authorization": self._credentials,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = b"grant_type=client_credentials"
        status, answer_headers, answer = await self._post(self._token_url, headers, body)
        if status == 401:
            raise StationRefused("the management API gives no token: it answers 401")
        if status != 200:
            raise PlatformProblem(
                f"the management API gives no token: it answers {status}",
                retry_after=_retry_after(answer_headers, status),
            )
        return _read_token(answer)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        own = self._station_clock
        asked = own.uptime() if own else 0
        with failures_told(url):
            async with self._session.post(
                url, headers=headers, data=body, allow_redirects=False
            ) as response:
                if own is not None:
                    valid = self._peers.valid(response.url.host) if self._peers else None
                    own.learn(response.headers.get("Date"), asked, valid)
                answer = await read_bounded(response, MAX_ANSWER_BYTES)
                return response.status, response.headers, answer


def _batch_body(tickets: Sequence[Waiting], head: AlibiHead | None) -> bytes:
    body = b'{"tickets":[' + b",".join(ticket.body.encode() for ticket in tickets) + b"]"
    if head is not None:
        body += b',"' + HEAD_MEMBER.encode() + b'":' + head.model_dump_json().encode()
    return body + b"}"


def _does_not_know(problem: dict[str, object], member: str) -> bool:
    """Whether a refusal is about this member of the body, by the problem's list of errors."""
    errors = problem.get("errors")
    return isinstance(errors, list) and any(
        isinstance(one, dict) and one.get("field") == member for one in errors
    )


def _basic_auth(client_id: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both are form-encoded before HTTP Basic joins them."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _read_token(answer: bytes) -> tuple[str, float]:
    try:
        document = read_json(answer)
        token, kind = document["access_token"], document["token_type"]
        lifetime = document.get("expires_in", 60)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlatformProblem("the management API's token answer is not valid") from None
    if (
        not isinstance(token, str)
        or not token.isascii()
        or not token.isprintable()
        or not token
        or str(kind).lower() != "bearer"
        or isinstance(lifetime, bool)
        or not isinstance(lifetime, int)
        or lifetime <= 0
    ):
        raise PlatformProblem("the management API's token answer is not valid")
    return token, float(min(lifetime, MAX_TOKEN_SECONDS))


def _retry_after(headers: Any, status: int) -> float | None:
    """Seconds that the platform asks to wait (RFC 9110, 10.2.3), within reason."""
    value = headers.get("Retry-After")
    if value is None or (status not in TRANSIENT and status < 500):
        return None
    if (digits := _DELAY.fullmatch(value)) is not None:
        # More digits than these are thirty years and more; int() and float() have their limits.
        return min(float(digits[1][:MAX_DELAY_DIGITS]), MAX_RETRY_AFTER_SECONDS)
    moment = read_http_date(value)
    if moment is None:
        return None
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
