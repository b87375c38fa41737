"""Who may do what, route by route, and that another customer's things do not exist."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from registry_world import PASSWORD, Api, World, node_draft

ACTORS = (
    "platform",
    "admin",
    "user",
    "station",
    "foreign-admin",
    "foreign-user",
    "foreign-station",
)
# For each actor of ACTORS, in that order, what the route about customer a's things answers.
Row = tuple[str, str, Any, str]
OWN = "a"

TABLE: list[Row] = [
    # method, path, body, statuses of the actors in order
    ("GET", "/v1/nodes", None, "200 403 403 403 403 403 403"),
    ("POST", "/v1/nodes", node_draft("new", "station"), "201 403 403 403 403 403 403"),
    ("GET", "/v1/nodes/{admin-3}", None, "200 403 403 403 403 403 403"),
    ("PATCH", "/v1/nodes/{admin-3}", {"name": "other"}, "200 403 403 403 403 403 403"),
    ("DELETE", "/v1/nodes/{admin-3}", None, "204 403 403 403 403 403 403"),
    ("GET", "/v1/customers", None, "200 200 200 403 200 200 403"),
    ("POST", "/v1/customers", {"name": "New"}, "201 403 403 403 403 403 403"),
    ("GET", "/v1/customers/{customer_a}", None, "200 200 200 403 404 404 403"),
    ("PATCH", "/v1/customers/{customer_a}", {"name": "N"}, "200 403 403 403 403 403 403"),
    ("DELETE", "/v1/customers/{customer_a}", None, "409 403 403 403 403 403 403"),
    ("GET", "/v1/users", None, "200 200 200 403 200 200 403"),
    (
        "POST",
        "/v1/users",
        {
            "login": "new@a.test",
            "password": PASSWORD,
            "role": "customer-user",
            "customer_id": "{customer_a}",
        },
        "201 201 403 403 422 403 403",
    ),
    (
        "POST",
        "/v1/users",
        {"login": "new@platform.test", "password": PASSWORD, "role": "platform-administrator"},
        "201 422 403 403 422 403 403",
    ),
    ("GET", "/v1/users/{user_a}", None, "200 200 200 403 404 404 403"),
    ("GET", "/v1/users/{admin_a}", None, "200 200 404 403 404 404 403"),
    ("GET", "/v1/users/{root}", None, "200 404 404 403 404 404 403"),
    ("PATCH", "/v1/users/{user_a}", {"status": "disabled"}, "200 200 403 403 404 403 403"),
    ("DELETE", "/v1/users/{user_a}", None, "204 204 403 403 404 403 403"),
    (
        "POST",
        "/v1/users/{user_a}/password",
        {"new_password": "four other plain words", "current_password": PASSWORD},
        "204 204 204 403 404 404 403",
    ),
    ("GET", "/v1/stations", None, "200 200 200 200 200 200 200"),
    (
        "POST",
        "/v1/stations",
        {"name": "new", "customer_id": "{customer_a}"},
        "201 403 403 403 403 403 403",
    ),
    ("GET", "/v1/stations/{station_a}", None, "200 200 200 200 404 404 404"),
    ("PATCH", "/v1/stations/{station_a}", {"status": "disabled"}, "200 200 403 403 404 403 403"),
    ("DELETE", "/v1/stations/{station_a}", None, "204 403 403 403 403 403 403"),
    ("POST", "/v1/stations/{station_a}/credentials", None, "200 200 403 403 404 403 403"),
    ("GET", "/v1/stations/{station_a}/contract", None, "403 200 200 403 404 404 403"),
    ("GET", "/v1/weighbridges", None, "200 200 200 200 200 200 200"),
    (
        "POST",
        "/v1/weighbridges",
        {
            "station_id": "{station_a}",
            "name": "new",
            "scale_serial": "NEW",
            "max_capacity": 1000,
            "scale_interval": 1,
        },
        "201 201 403 403 422 403 403",
    ),
    ("GET", "/v1/weighbridges/{weighbridge_a}", None, "200 200 200 200 404 404 404"),
    (
        "PATCH",
        "/v1/weighbridges/{weighbridge_a}",
        {"max_capacity": 50_000_000},
        "200 200 403 403 404 403 403",
    ),
    ("DELETE", "/v1/weighbridges/{weighbridge_a}", None, "409 409 403 403 404 403 403"),
    ("GET", "/v1/devices", None, "200 200 200 200 200 200 200"),
    (
        "POST",
        "/v1/devices",
        {"station_id": "{station_a}", "kind": "smartbox", "serial": "SB-2"},
        "201 201 403 403 422 403 403",
    ),
    ("GET", "/v1/devices/{cell_a}", None, "200 200 200 200 404 404 404"),
    ("PATCH", "/v1/devices/{cell_a}", {"status": "disabled"}, "200 200 403 403 404 403 403"),
    ("DELETE", "/v1/devices/{cell_a}", None, "204 204 403 403 404 403 403"),
    ("GET", "/v1/routes", None, "403 200 200 403 200 200 403"),
    (
        "POST",
        "/v1/routes",
        {
            "name": "new",
            "vehicle": "AA-1",
            "stops": [{"station_id": "{station_a}"}],
            "expectations": [{"at": 1, "grams": 1, "tolerance_grams": 0}],
        },
        "403 201 403 403 422 403 403",
    ),
    ("GET", "/v1/routes/{route_a}", None, "403 200 200 403 404 404 403"),
    ("PATCH", "/v1/routes/{route_a}", {"status": "disabled"}, "403 200 403 403 404 403 403"),
    ("DELETE", "/v1/routes/{route_a}", None, "403 204 403 403 404 403 403"),
    ("GET", "/v1/webhooks", None, "403 200 403 403 200 403 403"),
    ("POST", "/v1/webhooks", {"url": "https://new.test"}, "403 201 403 403 201 403 403"),
    ("GET", "/v1/webhooks/{webhook_a}", None, "403 200 403 403 404 403 403"),
    ("PATCH", "/v1/webhooks/{webhook_a}", {"status": "disabled"}, "403 200 403 403 404 403 403"),
    ("DELETE", "/v1/webhooks/{webhook_a}", None, "403 204 403 403 404 403 403"),
    ("POST", "/v1/webhooks/{webhook_a}/secret", None, "403 200 403 403 404 403 403"),
    # This platform has no issuing authority; tests/registry/test_enrolment.py has one that does.
    ("POST", "/v1/devices/{box_a}/claim", None, "409 409 403 403 409 403 403"),
    ("POST", "/v1/devices/{box_a}/revoke", None, "200 200 403 403 404 403 403"),
    ("POST", "/v1/enrolment/renewals", {"request": "x"}, "403 403 403 409 403 403 409"),
    ("GET", "/v1/audit", None, "200 200 403 403 200 403 403"),
]


def cases() -> Iterator[Any]:
    """Those whom a route changes nothing for together, each of the others in a world of its own."""
    for number, (method, path, body, statuses) in enumerate(TABLE):
        answers = dict(zip(ACTORS, map(int, statuses.split()), strict=True))
        harmless = {a: s for a, s in answers.items() if method == "GET" or s >= 400}
        groups = [harmless, *({a: s} for a, s in answers.items() if a not in harmless)]
        for group in filter(None, groups):
            name = next(iter(group)) if len(group) == 1 else "all it changes nothing for"
            yield pytest.param(method, path, body, group, id=f"{method} {path} {number} {name}")


# What a device asks that has no token yet, and what anybody may know.
PUBLIC = {("POST", "/v1/enrolment"), ("GET", "/v1/enrolment/revocations")}
MADE_UP = "01JD3ZQ8J1T6Y0V8M4N2K7R5XA"


def fill(value: Any, ids: dict[str, str]) -> Any:
    """The ids of the world for the names in braces."""
    if isinstance(value, dict):
        return {name: fill(member, ids) for name, member in value.items()}
    if isinstance(value, list):
        return [fill(member, ids) for member in value]
    if isinstance(value, str):
        for name, known in ids.items():
            value = value.replace(f"{{{name}}}", known)
    return value


async def token_of(api: Api, world: World, actor: str) -> str:
    """An access token of an actor."""
    if actor == "platform":
        return await api.token(world.root)
    letter = "b" if actor.startswith("foreign-") else OWN
    kind = actor.removeprefix("foreign-")
    if kind == "station":
        return await api.station_token(*world.credentials[letter])
    return await api.token(f"{kind}@{letter}.test")


@pytest.mark.parametrize(("method", "path", "body", "expected"), list(cases()))
async def test_each_role_gets_what_the_table_says(
    api: Api, world: World, method: str, path: str, body: Any, expected: dict[str, int]
) -> None:
    """Every route answers every role, of the same and of another customer, as the table says."""
    for actor, status in expected.items():
        answer = await api.call(
            method,
            fill(path, world.ids),
            await token_of(api, world, actor),
            fill(body, world.ids),
            headers={"If-Match": "*"} if method in {"PATCH", "DELETE"} else {},
        )
        assert answer.status == status, (actor, answer.text)


async def test_nobody_gets_in_without_a_token(api: Api, world: World) -> None:
    """Without a token every route answers 401 with a challenge, whatever else is wrong."""
    for method, path, body, _ in TABLE:
        answer = await api.call(method, fill(path, world.ids), None, fill(body, world.ids))
        assert answer.status == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="steelyard"'
        assert answer.json["type"] == "urn:steelyard:problem:unauthenticated"


@pytest.mark.parametrize("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."])
async def test_a_made_up_token_is_refused(api: Api, token: str) -> None:
    """A token that is not ours answers 401 with the error that RFC 6750 names."""
    answer = await api.call("GET", "/v1/users", token)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_the_table_has_every_route(api: Api) -> None:
    """No route under /v1 is left out of the table."""
    document = (await api.call("GET", "/openapi.json")).json
    served = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/v1/")
    }
    tabled = {(row[0], "/".join(_template(row[1]))) for row in TABLE}
    assert served == tabled | PUBLIC


def _template(path: str) -> list[str]:
    return ["{id}" if part.startswith("{") else part for part in path.split("/")]


FOREIGN = [
    ("GET", "/v1/customers/{}", "customer_a", None),
    ("GET", "/v1/users/{}", "user_a", None),
    ("PATCH", "/v1/users/{}", "user_a", {"status": "disabled"}),
    ("DELETE", "/v1/users/{}", "user_a", None),
    ("POST", "/v1/users/{}/password", "user_a", {"new_password": "four other plain words"}),
    ("GET", "/v1/stations/{}", "station_a", None),
    ("PATCH", "/v1/stations/{}", "station_a", {"status": "disabled"}),
    ("POST", "/v1/stations/{}/credentials", "station_a", None),
    ("GET", "/v1/stations/{}/contract", "station_a", None),
    ("GET", "/v1/weighbridges/{}", "weighbridge_a", None),
    ("PATCH", "/v1/weighbridges/{}", "weighbridge_a", {"status": "disabled"}),
    ("DELETE", "/v1/weighbridges/{}", "weighbridge_a", None),
    ("GET", "/v1/devices/{}", "cell_a", None),
    ("PATCH", "/v1/devices/{}", "cell_a", {"status": "disabled"}),
    ("DELETE", "/v1/devices/{}", "cell_a", None),
    ("GET", "/v1/routes/{}", "route_a", None),
    ("PATCH", "/v1/routes/{}", "route_a", {"status": "disabled"}),
    ("DELETE", "/v1/routes/{}", "route_a", None),
    ("GET", "/v1/webhooks/{}", "webhook_a", None),
    ("PATCH", "/v1/webhooks/{}", "webhook_a", {"status": "disabled"}),
    ("DELETE", "/v1/webhooks/{}", "webhook_a", None),
    ("POST", "/v1/webhooks/{}/secret", "webhook_a", None),
    ("POST", "/v1/devices/{}/revoke", "cell_a", None),
]


@pytest.mark.parametrize(("method", "path", "name", "body"), FOREIGN)
async def test_anothers_entity_answers_like_none(
    api: Api, world: World, method: str, path: str, name: str, body: Any
) -> None:
    """Status, headers and body are the same for a foreign entity and for one that never was."""
    token = await api.token("admin@b.test")
    headers = {"If-Match": '"1"', "X-Request-Id": "the-same-id"}
    foreign, missing = [
        await api.call(method, path.format(entity), token, body, headers=headers)
        for entity in (world.ids[name], MADE_UP)
    ]
    assert foreign.status == missing.status == 404
    assert foreign.text == missing.text
    changing = {"Date"}
    assert {n: v for n, v in foreign.headers.items() if n not in changing} == {
        n: v for n, v in missing.headers.items() if n not in changing
    }


async def test_drafts_that_name_anothers_entity_answer_like_none(api: Api, world: World) -> None:
    """A body that names another customer's entity is refused like one that names nothing."""
    token = await api.token("admin@b.test")
    bridge = {"name": "x", "scale_serial": "X", "max_capacity": 10, "scale_interval": 1}
    for plural, draft, name in (
        ("weighbridges", bridge, "station"),
        ("devices", {"kind": "smartbox", "serial": "X"}, "station"),
        (
            "devices",
            {
                "kind": "loadcell",
                "serial": "X",
                "station_id": world.ids["station_b"],
                "weighbridge_id": "?",
            },
            "weighbridge",
        ),
        (
            "users",
            {"login": "x@b.test", "password": PASSWORD, "role": "customer-user"},
            "customer",
        ),
    ):
        answers = [
            await api.call("POST", f"/v1/{plural}", token, draft | {f"{name}_id": entity})
            for entity in (world.ids[f"{name}_a"], MADE_UP)
        ]
        assert [answer.status for answer in answers] == [422, 422], plural
        assert answers[0].text == answers[1].text


async def test_lists_hold_ones_own_only(api: Api, world: World) -> None:
    """Nobody's list holds an entity of another customer, with or without a filter for it."""
    own = {
        "admin": {"customers": 1, "users": 2, "stations": 1, "weighbridges": 1, "devices": 2},
        "user": {"customers": 1, "users": 1, "stations": 1, "weighbridges": 1, "devices": 2},
        "station": {"stations": 1, "weighbridges": 1, "devices": 2},
    }
    for (actor, lists), letter in itertools.product(own.items(), "ab"):
        token = await token_of(api, world, actor if letter == "a" else f"foreign-{actor}")
        other = world.ids["customer_b" if letter == "a" else "customer_a"]
        for plural, count in lists.items():
            items = (await api.call("GET", f"/v1/{plural}", token)).json["items"]
            assert len(items) == count, (actor, plural)
            owners = {
                item["id"] if plural == "customers" else item["customer_id"] for item in items
            }
            assert owners == {world.ids[f"customer_{letter}"]}
            if plural != "customers":
                filtered = await api.call("GET", f"/v1/{plural}?customer_id={other}", token)
                assert filtered.json == {"items": [], "next": None}
