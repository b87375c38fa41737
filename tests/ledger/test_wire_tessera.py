"""The privacy managers' third-party API, as Tessera serves it, on every engine."""

import base64
import json
import re

import pytest

JSON = {"Content-Type": "application/json"}


async def get(session, client, path, node=0):
    async with session.get(client.nodes[node]["tessera_url"] + path) as response:
        return response.status, response.content_type, await response.text()


async def store(session, client, body, headers=JSON):
    url = client.nodes[0]["tessera_url"] + "/storeraw"
    data = body if isinstance(body, str) else json.dumps(body)
    async with session.post(url, data=data, headers=headers) as response:
        return response.status, await response.text()


async def test_signs_of_life(session, client):
    """Upcheck and version are plain text."""
    assert await get(session, client, "/upcheck") == (200, "text/plain", "I'm up!")
    status, kind, version = await get(session, client, "/version")
    assert (status, kind) == (200, "text/plain")
    assert re.match(r"\d+\.\d+", version)
    assert await get(session, client, "/upcheck/") == (200, "text/plain", "I'm up!")


async def test_keys(session, client):
    """/keys has one's own, /partyinfo/keys everybody's, all of 32 bytes."""
    own = json.loads((await get(session, client, "/keys", 1))[2])
    assert own == {"keys": [{"key": client.key(1)}]}
    parties = json.loads((await get(session, client, "/partyinfo/keys", 1))[2])
    assert {each["key"] for each in parties["keys"]} == {client.key(node) for node in range(3)}
    assert len({len(base64.b64decode(each["key"])) for each in parties["keys"]}) == 1
    assert len(base64.b64decode(client.key(0))) == 32


async def test_a_payload_has_a_new_hash_each_time(session, client):
    """64 bytes, never the same, because the encryption has a fresh nonce."""
    hashes = set()
    for body in (
        {"payload": "aGVsbG8=", "from": client.key(0)},
        {"payload": "aGVsbG8=", "from": client.key(0)},
        {"payload": "aGVsbG8="},
        {"payload": "aGVsbG8=", "from": None},
        {"payload": "aGVsbG8=", "x": 1},
        {"payload": "aGVsbG8"},
        {"payload": "aG Vs\nbG8="},
        {"payload": True},
    ):
        status, text = await store(session, client, body)
        assert status == 200
        hashes.add(json.loads(text)["key"])
    assert len(hashes) == 8
    assert {len(base64.b64decode(each)) for each in hashes} == {64}


NULL = "may not be null (path = RawTransactionResource.store.arg0.payload, invalidValue = null)\n"
EMPTY = (
    "size must be between 1 and 2147483647 (path = RawTransactionResource.store.arg0.payload, "
    "invalidValue = [])\n"
)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"payload": "***"}, 400, EMPTY),
        ({"payload": ""}, 400, EMPTY),
        ({}, 400, NULL),
        ({"payload": None}, 400, NULL),
        ('{"payload":', 400, "HTTP 400 Bad Request"),
        ("", 400, "HTTP 400 Bad Request"),
        ("[]", 400, NULL),
        ({"payload": 5}, 500, "Last unit does not have enough valid bits"),
        ({"payload": "a"}, 500, "Last unit does not have enough valid bits"),
        ({"payload": "_-_-"}, 400, EMPTY),
        (
            {"payload": "aGVsbG8=", "from": "YWJjZGU="},
            404,
            "Public key YWJjZGU= not found when searching for private key",
        ),
        (
            {"payload": "aGVsbG8=", "from": ""},
            404,
            "Public key  not found when searching for private key",
        ),
        (
            {"payload": "aGVsbG8=", "from": "not base64!!"},
            500,
            "Last unit does not have enough valid bits",
        ),
    ],
)
async def test_stores_that_are_refused(session, client, body, status, text):
    """Status and words are Tessera's."""
    assert await store(session, client, body) == (status, text)


async def test_anothers_key_is_not_this_managers(session, client):
    """A payload is stored at its own sender's manager only."""
    body = {"payload": "aGVsbG8=", "from": client.key(1)}
    status, text = await store(session, client, body)
    assert status == 404
    assert text == f"Public key {client.key(1)} not found when searching for private key"


async def test_other_requests(session, client):
    """What is on other servers of Tessera is not on this one."""
    for path in ("/nope", "/transaction/abc", "/receive", "/send", "/partyinfo"):
        assert await get(session, client, path) == (404, "text/plain", "HTTP 404 Not Found")
    status, text = await store(session, client, "x", {"Content-Type": "text/plain"})
    assert (status, text) == (500, "HTTP 415 Unsupported Media Type")
    assert (await get(session, client, "/storeraw"))[2] == "HTTP 405 Method Not Allowed"
    async with session.head(client.nodes[0]["tessera_url"] + "/upcheck") as response:
        assert response.status == 200


async def test_a_megabyte(client):
    """A large payload is stored whole."""
    assert len(await client.store(0, b"\x01" * 6_000_000)) == 64
