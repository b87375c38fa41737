"""Sending an event to a customer's server, signed as Standard Webhooks has it.

The signature is HMAC-SHA256 over `<id>.<timestamp>.<body>`, base64, in the header
`webhook-signature` behind `v1,` (https://www.standardwebhooks.com, version 1).
"""

import base64
import hashlib
import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from steelyard.certificate_files import trust
from steelyard.store.route_seal import Target
from steelyard.tickets.addresses import AddressRefused, GuardedResolver, Network, may_be_called

USER_AGENT = "Steelyard-Webhooks"


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """Where webhooks may go, and how long what may take; `pause` and `seconds` in seconds."""

    networks: tuple[Network, ...] = ()
    ca_file: Path | None = None
    seconds: float = 10.0
    pause: float = 2.0
    give_up_ms: int = 72 * 3_600_000


class Undelivered(Exception):
    """The server did not take the event; `reason` is a word for it that no secret is in."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WebhookSender:
    """Sends events. Open it inside of the event loop, and close it."""

    def __init__(self, limits: WebhookLimits, resolver: AbstractResolver | None = None) -> None:
        self._networks = limits.networks
        guarded = GuardedResolver(resolver or aiohttp.ThreadedResolver(), limits.networks)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=guarded,
                use_dns_cache=False,
                ssl=_context(limits.ca_file),
                force_close=True,  # days may lie between two events
            ),
            timeout=aiohttp.ClientTimeout(total=limits.seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy would resolve the name again
            headers={"User-Agent": USER_AGENT},
        )
        self._resolver = guarded

    async def send(self, target: Target, event: str, body: bytes, *, at: int) -> None:
        """Send one event at a time (seconds since 1970). Raises Undelivered.

        Any answer 2xx says that it was taken; redirects are not followed, bodies not read.
        """
        url = _https(target.url)
        host = url.host or ""
        if _is_address(host) and not may_be_called(host, self._networks):
            raise Undelivered("address-refused")  # aiohttp asks no resolver for an address
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(target.secret, event, at, body),
        }
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except aiohttp.ClientConnectorDNSError as error:
            refused = isinstance(error.os_error, AddressRefused)
            raise Undelivered("address-refused" if refused else "name-not-found") from None
        except aiohttp.ClientSSLError:
            raise Undelivered("certificate") from None
        except TimeoutError:
            raise Undelivered("timeout") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise Undelivered("connection") from None
        if not 200 <= status < 300:
            raise Undelivered(f"status-{status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        await self._resolver.close()


def sign(secret: bytes, event: str, at: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    message = f"{event}.{at}.".encode() + body
    digest = hmac.new(secret, message, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _https(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        raise Undelivered("no-url") from None
    if url.scheme != "https" or not url.host:
        raise Undelivered("no-url")
    return url


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        trust(context, ca_file, "tickets.webhook_ca_file")
    return context
