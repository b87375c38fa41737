"""The platform's answer to a greeting tells the time, until that is known."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from smartbox_kit import CLIENT_ID, SECRET, FakePlatform, Stage

from steelyard.smartbox.station_clock import PLATFORM, StationClock
from steelyard.smartbox.uplink.peers import Peers
from steelyard.smartbox.uplink.platform import GREET_SECONDS, Platform, make_tls_context

OLD = "Jan  1 00:00:00 2023 GMT"


@asynccontextmanager
async def greeting(
    platform: FakePlatform, tls: ssl.SSLContext, **values: Any
) -> AsyncIterator[Platform]:
    """The platform as a SmartBox sees it, over a connection of its own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield Platform(
            session,
            management_url=platform.url,
            tickets_url=platform.url,
            client_id=CLIENT_ID,
            client_secret=SECRET,
            **values,
        )


async def test_a_slow_token_does_not_keep_the_time_away(
    platform: FakePlatform, stage: Stage
) -> None:
    """The first answer took eleven seconds and told nothing; its token is good for an hour."""
    platform.token_lifetime = 3600
    uptimes = iter([0, 0, 11_000])
    now = 20_000
    clock = StationClock(lambda: 0, lambda: next(uptimes, now), lambda: False, "boot")
    seconds = 100.0
    tls = make_tls_context(stage.https.certificate_path)
    async with greeting(platform, tls, station_clock=clock, clock=lambda: seconds) as one:
        for _ in range(3):
            await one.greet()
        assert (clock.known, platform.token_requests) == (False, 1)
        seconds += GREET_SECONDS
        await one.greet()
        assert clock.source == PLATFORM
        for _ in range(3):
            await one.greet()
    assert platform.token_requests == 2


@pytest.mark.parametrize("last", ["Jan  1 00:00:00 2024 GMT", None])
async def test_a_date_outside_the_server_s_certificate_is_not_taken(
    platform: FakePlatform, stage: Stage, monkeypatch: pytest.MonkeyPatch, last: str | None
) -> None:
    """Of the real handshake, or of one that told another certificate; another host's is nothing."""
    tls, peers = make_tls_context(stage.https.certificate_path), Peers()
    peers.watch(tls)
    peers.note("other", {"notBefore": OLD, "notAfter": "Jan  1 00:00:00 2024 GMT"})
    if last is not None:
        note = peers.note
        told = {"notBefore": OLD, "notAfter": last}
        monkeypatch.setattr(peers, "note", lambda host, _: note(host, told))
    clock = StationClock(lambda: 0, lambda: 5, lambda: False, "boot")
    async with greeting(platform, tls, station_clock=clock, peers=peers) as one:
        await one.greet()
    assert clock.source == (PLATFORM if last is None else None)
    if last is None:
        leaf = x509.load_pem_x509_certificate(stage.server.certificate_path.read_bytes())
        assert peers.valid("localhost") == (
            leaf.not_valid_before_utc.timestamp() * 1000,
            leaf.not_valid_after_utc.timestamp() * 1000,
        )
