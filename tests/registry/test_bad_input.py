"""Bad input: every field of every request, and bodies that cannot be read. Nothing is stored."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from registry_world import PASSWORD, Api, World, node_draft
from steelyard.store.base import Base

HUGE = 2**70
TEXTS: list[Any] = [
    None,
    7,
    1.5,
    True,
    [],
    {},
    ["x"],
    "",
    " ",
    "x" * 3000,
    "a\u0000b",
    "a\nb",
    " a",
    "\u200e",
]
NUMBERS: list[Any] = [None, "7", 1.5, 1.0, True, [], {}, -1, 0, 2**31, HUGE, "", "x"]
CHOICES: list[Any] = [None, 7, True, [], {}, "", "other", "ACTIVE", "deleted"]
IDS: list[Any] = [
    None,
    7,
    1.5,
    True,
    [],
    {},
    "",
    "x",
    "01jd3zq8j1t6y0v8m4n2k7r5xa",
    "I" * 26,
    "0" * 27,
]
URLS = [
    *TEXTS,
    "node",
    "ftp://a",
    "http://",
    "http://u:p@a",
    "http://a?b",
    "http://a#b",
    "http://a:x",
    "http://[",
    "http://é",
]
KEYS = [*TEXTS, "A" * 44, "B" * 43 + "=", "/" * 43 + "=", "A" * 42 + "=="]
HEX = [7, 1.5, True, [], {}, "", "ab", "AB" * 32, "g" * 64, "a" * 65]
ID_NAMES = [*TEXTS, "a_b", "é", "a b", "-a", "x" * 41]
LOGINS = [*TEXTS, "a", "a b", "x" * 255]
SECRETS = [None, 7, 1.5, True, [], {}, "", "x" * 129, "short"]


def optional(values: list[Any]) -> list[Any]:
    """Where null is allowed."""
    return [value for value in values if value is not None]


def drafts(ids: dict[str, str]) -> dict[str, tuple[dict[str, Any], dict[str, list[Any]]]]:
    """A good draft of each noun, and the bad values of each of its fields."""
    station = ids["station_a"]
    return {
        "nodes": (
            node_draft("new", "station"),
            {
                "name": [*TEXTS, "a b", "é", "x" * 65],
                "role": CHOICES,
                "rpc_url": URLS,
                "tessera_url": URLS,
                "tessera_public_key": KEYS,
            },
        ),
        "customers": ({"name": "New"}, {"name": [*TEXTS, "x" * 129]}),
        "users": (
            {
                "login": "new@a.test",
                "password": PASSWORD,
                "role": "customer-user",
                "customer_id": ids["customer_a"],
            },
            {
                "login": LOGINS,
                "password": SECRETS,
                "role": [*CHOICES, "station"],
                "customer_id": IDS,
            },
        ),
        "stations": (
            {"name": "new", "customer_id": ids["customer_a"]},
            {"name": ID_NAMES, "customer_id": IDS},
        ),
        "weighbridges": (
            {
                "station_id": station,
                "name": "new",
                "scale_serial": "NEW",
                "max_capacity": 1000,
                "scale_interval": 1,
            },
            {
                "station_id": IDS,
                "name": ID_NAMES,
                "scale_serial": [*TEXTS, "x" * 33, "é"],
                "max_capacity": NUMBERS,
                "scale_interval": NUMBERS,
            },
        ),
        "devices": (
            {
                "station_id": station,
                "kind": "loadcell",
                "serial": "NEW",
                "weighbridge_id": ids["weighbridge_a"],
                "certificate_fingerprint": "ab" * 32,
            },
            {
                "station_id": IDS,
                "kind": CHOICES,
                "serial": [*TEXTS, "x" * 33, "é"],
                "weighbridge_id": IDS,
                "certificate_fingerprint": HEX,
            },
        ),
    }


def patches(ids: dict[str, str]) -> dict[str, dict[str, list[Any]]]:
    """The bad values of each field of each merge patch."""
    return {
        f"nodes/{ids['admin-3']}": {"name": TEXTS, "rpc_url": URLS, "tessera_url": URLS},
        f"customers/{ids['customer_a']}": {"name": TEXTS, "status": CHOICES},
        f"users/{ids['user_a']}": {
            "role": [*CHOICES, "station", "platform-administrator"],
            "status": CHOICES,
        },
        f"stations/{ids['station_a']}": {"status": [*CHOICES, "pending"]},
        f"weighbridges/{ids['weighbridge_a']}": {
            "max_capacity": NUMBERS,
            "scale_interval": NUMBERS,
            "status": CHOICES,
        },
        f"devices/{ids['cell_a']}": {
            "weighbridge_id": IDS,
            "certificate_fingerprint": HEX,
            "status": CHOICES,
        },
    }


async def contents(api: Api) -> dict[str, list[Any]]:
    """Every row of every table."""
    async with api.database.session(read_only=True) as session:
        return {
            table.name: [tuple(row) for row in await session.execute(select(table))]
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
async def root(api: Api, world: World) -> AsyncIterator[str]:
    """A platform administrator's token; at the end nothing may be stored that was not before."""
    token = await api.token(world.root)
    before = await contents(api)
    yield token
    assert await contents(api) == before


NOUNS = ("nodes", "customers", "users", "stations", "weighbridges", "devices")


@pytest.mark.parametrize("plural", NOUNS)
async def test_every_field_of_every_draft(api: Api, world: World, root: str, plural: str) -> None:
    """A bad value is refused with 422 that names the field; so is a field that is missing."""
    good, fields = drafts(world.ids)[plural]
    assert set(fields) == set(good)
    for name, values in fields.items():
        for value in values:
            answer = await api.call("POST", f"/v1/{plural}", root, good | {name: value})
            assert answer.status == 422, (name, value, answer.text)
            named = {field.partition(".")[0] for field in answer.fields()}
            assert name in named, (name, value, answer.text)
            assert all(error["message"] for error in answer.json["errors"])
        if name != "certificate_fingerprint":
            missing = {key: value for key, value in good.items() if key != name}
            answer = await api.call("POST", f"/v1/{plural}", root, missing)
            assert (answer.status, answer.fields()) == (422, {name}), answer.text
    answer = await api.call("POST", f"/v1/{plural}", root, good | {"unknown": 1})
    assert (answer.status, answer.fields()) == (422, {"unknown"})
    assert all(name in answer.text for name in good)


@pytest.mark.parametrize("plural", NOUNS)
async def test_every_field_of_every_patch(api: Api, world: World, root: str, plural: str) -> None:
    """A bad value in a merge patch is refused with 422 that names the field."""
    for path, fields in patches(world.ids).items():
        if not path.startswith(plural):
            continue
        for name, values in fields.items():
            for value in values:
                answer = await api.change("PATCH", f"/v1/{path}", root, {name: value}, "*")
                assert (answer.status, answer.fields()) == (422, {name}), (value, answer.text)
        for unknown in ("id", "version", "customer_id", "created_at", "password_hash"):
            answer = await api.change("PATCH", f"/v1/{path}", root, {unknown: "x"}, "*")
            assert (answer.status, answer.fields()) == (422, {unknown})


BODIES = [
    (b"", 400),
    (b"{", 400),
    (b'{"name": "x"', 400),
    (b'{"name": "x"} {}', 400),
    (b'{"name": "x",}', 400),
    (b"{'name': 'x'}", 400),
    (b'{"name": NaN}', 400),
    (b'{"name": Infinity}', 400),
    (b'{"name": -Infinity}', 400),
    (b'{"name": 1' + b"0" * 5000 + b"}", 400),
    (b'{"name": 1e999999999999999999999999999999999}', 400),
    (b'{"name": "x", "name": "y"}', 400),
    (b'{"name": "\xff"}', 400),
    (b'{"name": "\xed\xa0\x80"}', 400),
    (b'{"name": "\\ud800"}', 400),
    (b'\xef\xbb\xbf{"name": "x"}', 400),
    ('{"name": "x"}'.encode("utf-16"), 400),
    (b"[]", 400),
    (b"null", 400),
    (b'"x"', 400),
    (b'{"name": ' + b"[" * 17 + b"]" * 17 + b"}", 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 50_000, 400),
    (b'{"name": "' + b"x" * 300_000 + b'"}', 413),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=[str(body[:24]) for body, _ in BODIES])
async def test_bodies_that_cannot_be_read(api: Api, root: str, body: bytes, status: int) -> None:
    """Each is refused with a problem that says why."""
    answer = await api.call(
        "POST", "/v1/customers", root, data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "garbage"},
    ],
)
async def test_other_content_types(api: Api, root: str, headers: dict[str, str]) -> None:
    """415 that names the one that is taken, or what is wrong with its parameters."""
    answer = await api.call("POST", "/v1/customers", root, data=b'{"name":"x"}', headers=headers)
    assert answer.status == 415, answer.text


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("limit=0", 422, "limit"),
        ("limit=201", 422, "limit"),
        ("limit=-1", 422, "limit"),
        ("limit=1.0", 422, "limit"),
        ("limit=1e1", 422, "limit"),
        ("limit=%201", 422, "limit"),
        ("limit=01", 422, "limit"),
        ("limit=%2B1", 422, "limit"),
        ("limit=1_0", 422, "limit"),
        ("limit=%D9%A1", 422, "limit"),
        ("limit=" + "9" * 400, 422, "limit"),
        ("limit=", 422, "limit"),
        ("limit=1&limit=1", 400, "limit"),
        ("unknown=1", 422, "unknown"),
        ("status=deleted", 422, "status"),
        ("name=", 422, "name"),
        ("name=%00", 422, "name"),
        ("cursor=", 422, "cursor"),
        ("name=%FF", 400, None),
        ("name=%G0", 400, None),
        ("name", 400, None),
        ("=1", 400, None),
        ("&".join(f"a{n}=1" for n in range(101)), 400, None),
    ],
)
async def test_bad_queries(api: Api, root: str, query: str, status: int, field: str | None) -> None:
    """Refused with the parameter's name, if it has one."""
    from yarl import URL

    url = URL(f"{api.url}/v1/customers?{query}", encoded=True)
    headers = {"Authorization": f"Bearer {root}"}
    async with api.session.get(url, headers=headers) as response:
        body = await response.json(content_type="application/problem+json")
    assert response.status == status, body
    named = {error["field"] for error in body.get("errors", [])}
    assert named == ({field} if field else set())


@pytest.mark.parametrize(
    "entity", ["x", "0", "..%2F", "%00", "%FF", "01JD3ZQ8J1T6Y0V8M4N2K7R5X%0A"]
)
async def test_bad_identifiers(api: Api, root: str, entity: str) -> None:
    """An identifier that cannot be one is refused with its name."""
    from yarl import URL

    url = URL(f"{api.url}/v1/stations/{entity}", encoded=True)
    headers = {"Authorization": f"Bearer {root}"}
    async with api.session.get(url, headers=headers) as response:
        body = await response.json(content_type="application/problem+json")
    assert response.status in {404, 422}, body
    if response.status == 422:
        assert [error["field"] for error in body["errors"]] == ["id"]


async def test_bodies_where_none_belongs(api: Api, world: World, root: str) -> None:
    """A body on a request that takes none is refused."""
    for method, path in (
        ("GET", "/v1/stations"),
        ("DELETE", f"/v1/devices/{world.ids['cell_a']}"),
        ("POST", f"/v1/stations/{world.ids['station_a']}/credentials"),
    ):
        answer = await api.call(method, path, root, {"a": 1}, headers={"If-Match": "*"})
        assert answer.status == 400, answer.text


async def test_methods_that_are_not_there(api: Api, root: str) -> None:
    """405 with Allow, as a problem."""
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
        answer = await api.call(method, "/v1/customers", root)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, POST"
        assert answer.json["type"] == "urn:steelyard:problem:method-not-allowed"


async def test_counting_sees_what_is_stored(api: Api, world: World) -> None:
    """The comparison that the tests of this file rest on does see a stored row."""
    token = await api.token(world.root)
    before = await contents(api)
    await api.make(token, "customers", name="New")
    after = await contents(api)
    assert {name for name in before if before[name] != after[name]} == {
        "customers",
        "nodes",
        "audit_log",
    }
    async with api.database.session(read_only=True) as session:
        assert await session.scalar(select(func.count()).select_from(Base.metadata.tables["users"]))
