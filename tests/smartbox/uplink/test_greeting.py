"""The platform's answer to a greeting tells the time, until that is known."""

import aiohttp
from cryptography import x509
from smartbox_kit import CLIENT_ID, SECRET, FakePlatform, Stage

from steelyard.smartbox.station_clock import PLATFORM, StationClock
from steelyard.smartbox.uplink.peers import Peers
from steelyard.smartbox.uplink.platform import GREET_SECONDS, Platform, make_tls_context


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
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        one = Platform(
            session,
            management_url=platform.url,
            tickets_url=platform.url,
            client_id=CLIENT_ID,
            client_secret=SECRET,
            clock=lambda: seconds,
            station_clock=clock,
        )
        for _ in range(3):
            await one.greet()
        assert (clock.known, platform.token_requests) == (False, 1)
        seconds += GREET_SECONDS
        await one.greet()
        assert clock.source == PLATFORM
        for _ in range(3):
            await one.greet()
    assert platform.token_requests == 2


async def test_a_date_outside_the_server_s_certificate_is_not_taken(
    platform: FakePlatform, stage: Stage
) -> None:
    """Of the real handshake, and of one with another certificate."""
    tls, peers = make_tls_context(stage.https.certificate_path), Peers()
    peers.watch(tls)
    assert peers.valid is None
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        clocks = []
        for last in ("Jan  1 00:00:00 2024 GMT", None):
            clock = StationClock(lambda: 0, lambda: 5, lambda: False, "boot")
            one = Platform(
                session,
                management_url=platform.url,
                tickets_url=platform.url,
                client_id=CLIENT_ID,
                client_secret=SECRET,
                station_clock=clock,
                peers=peers,
            )
            if last is not None:
                peers.note("other", {"notBefore": "Jan  1 00:00:00 2023 GMT", "notAfter": last})
            else:
                peers._validity.pop("other")
            await one.greet()
            clocks.append(clock.source)
    assert clocks == [None, PLATFORM]
    leaf = x509.load_pem_x509_certificate(stage.server.certificate_path.read_bytes())
    assert peers.valid == (
        leaf.not_valid_before_utc.timestamp() * 1000,
        leaf.not_valid_after_utc.timestamp() * 1000,
    )
