"""A key set behind a URL: fetched when it must be, and not more often."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from databases import FakeClock
from steelyard.errors import ConfigurationError
from steelyard.identity import keys
from steelyard.identity.errors import VerificationKeysUnavailable
from steelyard.identity.jwks import JwksUrl
from steelyard.identity.keys import KeySet, VerificationKey
from steelyard.identity.settings import IdentitySettings


def _key() -> VerificationKey:
    return VerificationKey.of(keys.generate().public_key())


class Endpoint:
    """A JWKS endpoint that counts, and that fails on demand."""

    def __init__(self):
        self.keys = [_key()]
        self.requests = 0
        self.response = None

    async def handle(self, request):
        self.requests += 1
        await asyncio.sleep(0)
        if self.response is not None:
            return self.response()
        return web.Response(body=KeySet(self.keys).as_json())


@pytest.fixture
async def endpoint():
    """The endpoint, with `url`."""
    made = Endpoint()
    app = web.Application()
    app.router.add_get("/jwks.json", made.handle)
    server = TestServer(app)
    await server.start_server()
    made.url = str(server.make_url("/jwks.json"))
    yield made
    await server.close()


@pytest.fixture
def clock():
    """Seconds that stand still."""
    return FakeClock(0)


def _source(endpoint, clock, **options) -> JwksUrl:
    return JwksUrl(endpoint.url, clock=lambda: clock.now / 1000, **options)


async def test_it_is_fetched_once(endpoint, clock):
    """Many verifications at once make one request."""
    source = _source(endpoint, clock)
    wanted = endpoint.keys[0].id
    found = await asyncio.gather(*(source.keys(wanted) for _ in range(20)))
    assert all(wanted in one for one in found)
    assert endpoint.requests == 1


async def test_an_unknown_key_is_asked_for_but_not_too_often(endpoint, clock):
    """A flood of invented key ids makes one request in ten seconds, a rotation is found after."""
    source = _source(endpoint, clock, refetch_seconds=10)
    await source.keys(endpoint.keys[0].id)
    new = _key()
    endpoint.keys.append(new)
    for number in range(50):
        await source.keys(f"invented-{number}")
    assert endpoint.requests == 1
    clock.advance(10)
    assert new.id in await source.keys(new.id)
    assert endpoint.requests == 2


async def test_an_old_set_is_fetched_again(endpoint, clock):
    """A key that was withdrawn is gone after the greatest age at the latest."""
    source = _source(endpoint, clock, max_age_seconds=60)
    withdrawn, kept = endpoint.keys[0], _key()
    endpoint.keys.append(kept)
    await source.keys(withdrawn.id)
    endpoint.keys.remove(withdrawn)
    assert withdrawn.id in await source.keys(withdrawn.id)
    clock.advance(61)
    assert set(await source.keys(withdrawn.id)) == {kept.id}


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(text="{"),
        lambda: web.Response(body=b" " * 100_000),
        lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
        lambda: web.json_response({"keys": []}),
    ],
)
async def test_a_failing_endpoint_does_not_take_the_keys_away(endpoint, clock, response):
    """What was fetched goes on serving; without any keys it is a 503."""
    source = _source(endpoint, clock, max_age_seconds=1)
    wanted = endpoint.keys[0].id
    await source.keys(wanted)
    endpoint.response = response
    clock.advance(3600)
    assert wanted in await source.keys(wanted)
    with pytest.raises(VerificationKeysUnavailable):
        await _source(endpoint, clock).keys(wanted)


async def test_an_absent_endpoint_is_a_problem(clock):
    """Nobody listens: a 503, no traceback."""
    with pytest.raises(VerificationKeysUnavailable):
        await JwksUrl("http://127.0.0.1:1/jwks.json").keys("any")


def test_only_https_or_loopback_is_allowed(tmp_path):
    """Keys from a plain connection could be anybody's."""
    for good in ("https://api.example/jwks.json", "http://127.0.0.1:8/x", "http://[::1]/x"):
        assert IdentitySettings(jwks_url=good).jwks_url == good
    for bad in ("http://api.example/jwks.json", "ftp://127.0.0.1/x", "https://", "x"):
        with pytest.raises(ConfigurationError, match="https URL"):
            IdentitySettings.load(_toml(tmp_path, bad))


def _toml(directory, url):
    path = directory / "steelyard.toml"
    path.write_text(f'[identity]\njwks_url = "{url}"\n')
    return path


def test_a_bad_authority_file_is_refused(tmp_path):
    """At the start, with the setting's name."""
    bad = tmp_path / "ca.pem"
    bad.write_text("nothing")
    for path in (bad, tmp_path / "missing"):
        with pytest.raises(ConfigurationError, match=r"identity\.jwks_ca_file"):
            JwksUrl("https://localhost/jwks.json", ca_file=path)
