"""The platform's answer to a greeting tells the time, until that is known."""

import aiohttp
from smartbox_kit import CLIENT_ID, SECRET, FakePlatform, Stage

from steelyard.smartbox.station_clock import PLATFORM, StationClock
from steelyard.smartbox.uplink.platform import Platform, make_tls_context


async def test_a_slow_token_does_not_keep_the_time_away(
    platform: FakePlatform, stage: Stage
) -> None:
    """The first answer took eleven seconds and told nothing; its token is good for an hour."""
    platform.token_lifetime = 3600
    uptimes = iter([0, 0, 11_000])
    now = 20_000
    clock = StationClock(lambda: 0, lambda: next(uptimes, now), lambda: False, "boot")
    tls = make_tls_context(stage.https.certificate_path)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        one = Platform(
            session,
            management_url=platform.url,
            tickets_url=platform.url,
            client_id=CLIENT_ID,
            client_secret=SECRET,
            station_clock=clock,
        )
        await one.greet()
        assert not clock.known
        await one.greet()
        assert clock.source == PLATFORM
        for _ in range(3):
            await one.greet()
    assert platform.token_requests == 2
