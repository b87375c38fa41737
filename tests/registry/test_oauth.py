"""The token endpoint, revocation, keys and metadata."""

import asyncio
import base64

import aiohttp
import jwt
import pytest

from registry_world import FORM, PASSWORD, Answer, Api, Secrets, World, running_api
from steelyard.store.settings import StoreSettings

ADMIN = "admin@a.test"


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def assert_oauth_error(answer: Answer, status: int, error: str) -> None:
    """The form of RFC 6749, section 5.2, and nothing of RFC 9457."""
    assert answer.status == status, answer.text
    assert set(answer.json) == {"error", "error_description"}
    assert answer.json["error"] == error
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_user_logs_in_and_renews(api: Api) -> None:
    """A password gives two tokens, which are not to be stored; the refresh token gives two more."""
    first = await api.log_in(ADMIN)
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Pragma"] == "no-cache"
    assert first.json["token_type"] == "Bearer"
    assert first.json["expires_in"] == 600
    second = await api.form(
        "/oauth2/token", grant_type="refresh_token", refresh_token=first.json["refresh_token"]
    )
    assert second.status == 200
    for token in (first.json["access_token"], second.json["access_token"]):
        assert (await api.call("GET", "/v1/users", token)).status == 200


async def test_a_reused_refresh_token_ends_the_log_in(secrets: Secrets, populated) -> None:
    """A refresh token that was exchanged before ends the whole family, access tokens too."""
    async with running_api(secrets, populated, identity={"refresh_grace_seconds": 0}) as api:
        first = (await api.log_in(ADMIN)).json
        fields = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = (await api.form("/oauth2/token", **fields)).json
        third = await api.form(
            "/oauth2/token", grant_type="refresh_token", refresh_token=second["refresh_token"]
        )
        assert_oauth_error(await api.form("/oauth2/token", **fields), 400, "invalid_grant")
        renewed = {"grant_type": "refresh_token", "refresh_token": third.json["refresh_token"]}
        assert_oauth_error(await api.form("/oauth2/token", **renewed), 400, "invalid_grant")
        assert (await api.call("GET", "/v1/users", second["access_token"])).status == 401


async def test_a_station_authenticates_in_two_ways(api: Api, world: World) -> None:
    """Client credentials by HTTP Basic or in the body; no refresh token comes with it."""
    client_id, secret = world.credentials["a"]
    grant = {"grant_type": "client_credentials"}
    answers = [
        await api.form("/oauth2/token", basic(client_id, secret), **grant),
        await api.form("/oauth2/token", client_id=client_id, client_secret=secret, **grant),
    ]
    for answer in answers:
        assert answer.status == 200, answer.text
        assert "refresh_token" not in answer.json
        listed = await api.call("GET", "/v1/stations", answer.json["access_token"])
        assert [item["id"] for item in listed.json["items"]] == [world.ids["station_a"]]


async def test_wrong_client_credentials(api: Api, world: World) -> None:
    """401 with a challenge for Basic; both ways at once are an invalid request."""
    client_id, secret = world.credentials["a"]
    grant = {"grant_type": "client_credentials"}
    for headers in (
        basic(client_id, "wrong"),
        basic("nobody", secret),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic /w=="},
        {"Authorization": "Bearer x"},
    ):
        answer = await api.form("/oauth2/token", headers, **grant)
        assert_oauth_error(answer, 401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    both = await api.form(
        "/oauth2/token",
        basic(client_id, secret),
        client_id=client_id,
        client_secret=secret,
        **grant,
    )
    assert_oauth_error(both, 400, "invalid_request")
    assert_oauth_error(await api.form("/oauth2/token", **grant), 400, "invalid_request")


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": ADMIN}, 400, "invalid_request"),
        ({"grant_type": "password", "username": ADMIN, "password": "x"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "", "password": "x"}, 400, "invalid_request"),
        ({"grant_type": "password", "username": "\0", "password": "x"}, 400, "invalid_grant"),
        (
            {"grant_type": "password", "username": "x" * 513, "password": "x"},
            400,
            "invalid_request",
        ),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "x" * 20_000}, 413, "invalid_request"),
    ],
)
async def test_bad_token_requests(api: Api, fields, status: int, error: str) -> None:
    """Each has the status and the error code of RFC 6749."""
    assert_oauth_error(await api.form("/oauth2/token", **fields), status, error)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"grant_type=password&grant_type=password", FORM["Content-Type"], 400),
        (b"grant_type=%FF", FORM["Content-Type"], 400),
        (b"grant_type=%zz", FORM["Content-Type"], 400),
        (b"\xff\xfe", FORM["Content-Type"], 400),
        (b"grant_type", FORM["Content-Type"], 400),
        (b"&".join(b"a=b" for _ in range(101)), FORM["Content-Type"], 400),
        (b'{"grant_type": "password"}', "application/json", 415),
        (b"grant_type=password", "text/plain", 415),
        (b"grant_type=password", FORM["Content-Type"] + "; charset=utf-16", 415),
    ],
)
async def test_malformed_forms(api: Api, body: bytes, content_type: str, status: int) -> None:
    """A form that cannot be read is an invalid request, in OAuth's form."""
    answer = await api.call(
        "POST", "/oauth2/token", data=body, headers={"Content-Type": content_type}
    )
    assert_oauth_error(answer, status, "invalid_request")


async def test_unknown_parameters_are_passed_over(api: Api) -> None:
    """RFC 6749, section 3.2: they are ignored."""
    answer = await api.form(
        "/oauth2/token", grant_type="password", username=ADMIN, password=PASSWORD, extra="x"
    )
    assert answer.status == 200


async def test_too_many_failures_lock_out(secrets: Secrets, populated: StoreSettings) -> None:
    """An address that fails too often waits, says Retry-After; its right password does not help."""
    settings = {"address_failures": 3, "address_refill_seconds": 3600}
    async with running_api(secrets, populated, identity=settings) as api:
        for _ in range(3):
            assert_oauth_error(await api.log_in(ADMIN, "wrong"), 400, "invalid_grant")
        refused = await api.log_in(ADMIN)
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert set(refused.json) == {"error", "error_description"}


async def test_an_account_locks(secrets: Secrets, populated: StoreSettings) -> None:
    """After its threshold an account refuses the right password too, with the same words."""
    async with running_api(secrets, populated, identity={"lockout_threshold": 3}) as api:
        wrong = [await api.log_in(ADMIN, "wrong") for _ in range(3)]
        locked = await api.log_in(ADMIN)
        assert_oauth_error(locked, 400, "invalid_grant")
        assert locked.text == wrong[0].text
        unknown = await api.log_in("nobody@a.test")
        assert unknown.text == locked.text


async def test_revocation(api: Api) -> None:
    """A revoked refresh token ends its access tokens; an unknown token is no error."""
    grant = (await api.log_in(ADMIN)).json
    for token in ("unknown", grant["refresh_token"], grant["refresh_token"]):
        answer = await api.form("/oauth2/revoke", token=token, token_type_hint="refresh_token")
        assert (answer.status, answer.text) == (200, "")
    assert (await api.call("GET", "/v1/users", grant["access_token"])).status == 401
    other = (await api.log_in(ADMIN)).json
    await api.form("/oauth2/revoke", token=other["access_token"])
    assert (await api.call("GET", "/v1/users", other["access_token"])).status == 401
    assert_oauth_error(await api.form("/oauth2/revoke"), 400, "invalid_request")


async def test_the_key_set_proves_tokens(api: Api) -> None:
    """A foreign library verifies an access token with the published keys, which are public."""
    answer = await api.call("GET", "/.well-known/jwks.json")
    token = await api.token(ADMIN)
    keys = jwt.PyJWKSet.from_dict(answer.json)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="steelyard")
    assert claims["role"] == "customer-administrator"
    assert all("d" not in member for member in answer.json["keys"])


async def test_the_metadata_names_what_is_served(api: Api) -> None:
    """Each endpoint of the metadata (RFC 8414) is a route of this API."""
    metadata = (await api.call("GET", "/.well-known/oauth-authorization-server")).json
    base = metadata["issuer"]
    paths = set((await api.call("GET", "/openapi.json")).json["paths"])
    for name in ("token_endpoint", "revocation_endpoint", "jwks_uri", "service_documentation"):
        assert metadata[name].removeprefix(base) in paths


async def test_log_ins_at_once(api: Api) -> None:
    """Four log-ins of four users each at the same time all succeed."""
    users = [f"{kind}@{letter}.test" for kind in ("admin", "user") for letter in "ab"]
    answers = await asyncio.gather(*(api.log_in(login) for login in users * 4))
    assert [answer.status for answer in answers] == [200] * 16


async def test_tls_1_2_is_refused(api: Api, secrets: Secrets) -> None:
    """The server speaks TLS 1.3 and nothing older."""
    import ssl

    context = ssl.create_default_context(cafile=str(secrets.authority))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{api.url}/healthz")
