"""Routes and webhooks: registered, changed and deleted, sealed at rest, and nobody else's."""

import base64
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import select, text, update

from registry_world import Api, World
from steelyard.registry import routes, webhooks
from steelyard.store.errors import RowTampered
from steelyard.store.models import AuditRecord, Delivery, Route, Webhook
from steelyard.store.route_seal import open_plan, open_target, seal_body
from steelyard.store.settings import StoreSettings


def draft(world: World, **changes: Any) -> dict[str, Any]:
    """A route of one stop and one weight."""
    return {
        "name": "new",
        "vehicle": "AA-1",
        "stops": [{"station_id": world.ids["station_a"]}],
        "expectations": [{"at": 1, "grams": 1000, "tolerance_grams": 10}],
        **changes,
    }


async def test_a_route_comes_back_as_it_was_registered(api: Api, world: World) -> None:
    """Every member, with the defaults for what was not given."""
    admin = await api.token("admin@a.test")
    whole = draft(
        world,
        stops=[{"station_id": world.ids["station_a"], "scale_serial": f"WB-{n}"} for n in (1, 2)],
        expectations=[
            {"at": 1, "quantity": "net", "grams": 5, "tolerance_grams": 0},
            {"at": 2, "since": 1, "grams": -7, "tolerance_percent": 0.125},
        ],
        within_seconds=3600,
        valid_from="2026-01-01T00:00:00.000Z",
        valid_to="2026-12-31T23:59:59.999Z",
    )
    made = await api.make(admin, "routes", **whole)
    seen = (await api.call("GET", f"/v1/routes/{made['id']}", admin)).json
    assert seen == made
    expectations = [
        {"since": None, "tolerance_percent": None, **whole["expectations"][0]},
        {"quantity": "gross", "tolerance_grams": None, **whole["expectations"][1]},
    ]
    entity = {"id", "customer_id", "status", "created_at", "updated_at"}
    shown = {name: value for name, value in seen.items() if name not in entity}
    assert shown == {**whole, "expectations": expectations}
    assert (seen["customer_id"], seen["status"]) == (world.ids["customer_a"], "active")


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"vehicle": ""}, "vehicle", "at least 1 character"),
        ({"vehicle": "a\u200bb"}, "vehicle", "must be visible characters"),
        ({"stops": []}, "stops", "at least 1 item"),
        ({"expectations": []}, "(all fields together)", "nothing could deviate"),
        ({"within_seconds": 0}, "within_seconds", "greater than or equal to 1"),
        ({"within_seconds": 32 * 86_400}, "within_seconds", "less than or equal to"),
        (
            {"expectations": [{"at": 2, "grams": 1, "tolerance_grams": 0}]},
            "(all fields together)",
            "expectations.0.at must be a stop: 1 to 1",
        ),
        (
            {"expectations": [{"at": 1, "grams": 1}]},
            "expectations.0",
            "one of tolerance_grams and tolerance_percent",
        ),
        (
            {"expectations": [{"at": 1, "since": 1, "grams": 1, "tolerance_grams": 0}]},
            "expectations.0",
            "since must be a stop before at",
        ),
        (
            {"expectations": [{"at": 1, "grams": 1, "tolerance_percent": 0.1234}]},
            "expectations.0.tolerance_percent",
            "at most 3 decimals",
        ),
        (
            {"expectations": [{"at": 1, "grams": 1.5, "tolerance_grams": 0}]},
            "expectations.0.grams",
            "valid integer",
        ),
        (
            {"valid_from": "2026-01-02T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"},
            "(all fields together)",
            "valid_from must not be after valid_to",
        ),
        ({"name": "a_b"}, "name", "pattern"),
        ({"weight": 1}, "weight", "not a known field"),
    ],
)
async def test_bad_routes_are_refused_by_name(
    api: Api, world: World, changes: dict[str, Any], field: str, sentence: str
) -> None:
    """One sentence with the field and what is allowed; nothing is kept."""
    admin = await api.token("admin@a.test")
    answer = await api.call("POST", "/v1/routes", admin, draft(world, **changes))
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert error["field"] == field
    assert sentence in error["message"]
    assert len((await api.call("GET", "/v1/routes", admin)).json["items"]) == 1


async def test_a_stop_is_at_ones_own_station(api: Api, world: World) -> None:
    """Another customer's station is refused like one that never was, by the stop's number."""
    admin = await api.token("admin@a.test")
    own, foreign = world.ids["station_a"], world.ids["station_b"]
    made_up = "01JD3ZQ8J1T6Y0V8M4N2K7R5XA"
    answers = [
        await api.call(
            "POST",
            "/v1/routes",
            admin,
            draft(world, stops=[{"station_id": own}, {"station_id": other}]),
        )
        for other in (foreign, made_up)
    ]
    assert [answer.status for answer in answers] == [422, 422]
    assert answers[0].text == answers[1].text
    assert answers[0].fields() == {"stops.1.station_id"}


async def test_a_patch_keeps_what_it_does_not_name(api: Api, world: World) -> None:
    """Members are changed alone, removed by null where that is possible, and checked together."""
    admin = await api.token("admin@a.test")
    made = await api.make(admin, "routes", **draft(world, valid_from="2026-01-01T00:00:00.000Z"))
    path = f"/v1/routes/{made['id']}"
    changed = await api.change("PATCH", path, admin, {"vehicle": "BB-*", "valid_from": None})
    assert changed.status == 200
    kept = {name: value for name, value in made.items() if name != "updated_at"}
    seen = {name: value for name, value in changed.json.items() if name != "updated_at"}
    assert seen == {**kept, "vehicle": "BB-*", "valid_from": None}
    wrong = await api.change(
        "PATCH", path, admin, {"expectations": [{"at": 2, "grams": 1, "tolerance_grams": 0}]}
    )
    assert wrong.status == 422
    assert "must be a stop" in wrong.text
    assert (await api.change("PATCH", path, admin, {"stops": None})).status == 422
    renamed = await api.change("PATCH", path, admin, {"name": "other", "status": "disabled"})
    assert (renamed.json["name"], renamed.json["status"]) == ("other", "disabled")
    assert (await api.change("PATCH", path, admin, {"name": "TO-THE-PLANT"})).status == 409
    found = await api.call("GET", "/v1/routes?name=OTHER&status=disabled", admin)
    assert [item["id"] for item in found.json["items"]] == [made["id"]]


async def test_a_deleted_route_gives_its_name_back(api: Api, world: World) -> None:
    """It is gone from the list, and its name is free."""
    admin = await api.token("admin@a.test")
    path = f"/v1/routes/{world.ids['route_a']}"
    assert (await api.change("DELETE", path, admin)).status == 204
    assert (await api.call("GET", path, admin)).status == 404
    await api.make(admin, "routes", **draft(world, name="to-the-plant"))


async def test_there_is_an_end_to_routes_and_webhooks(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer has so many at most; what is deleted makes room."""
    monkeypatch.setattr(routes, "MAX_ROUTES", 2)
    monkeypatch.setattr(webhooks, "MAX_WEBHOOKS", 2)
    admin = await api.token("admin@a.test")
    for plural, body in (("routes", draft(world)), ("webhooks", {"url": "https://x.test"})):
        made = await api.make(admin, plural, **body)
        again = {**body, "name": "more"} if "name" in body else body
        refused = await api.call("POST", f"/v1/{plural}", admin, again)
        assert (refused.status, refused.json["type"]) == (409, "urn:steelyard:problem:too-many")
        await api.change("DELETE", f"/v1/{plural}/{made['id']}", admin)
        await api.make(admin, plural, **again)


@pytest.mark.parametrize(
    "url",
    [
        *("http://erp.test", "https://", "https://user@erp.test", "https://erp.test/#a"),
        *("ftp://erp.test", "https://erp.test/ a", "https://erp.test:0/", "erp.test"),
        *("https://[::1", "https://erp.tést", "https://" + "a" * 510),
    ],
)
async def test_a_webhook_is_an_https_url(api: Api, url: str) -> None:
    """Anything else is refused with what is allowed."""
    admin = await api.token("admin@a.test")
    answer = await api.call("POST", "/v1/webhooks", admin, {"url": url})
    assert answer.status == 422
    assert answer.fields() == {"url"}


async def test_a_secret_is_shown_once(api: Api, world: World) -> None:
    """At the registration, and at a rotation the new one: never in a list, nor in the audit log."""
    admin = await api.token("admin@a.test")
    made = await api.make(admin, "webhooks", url="https://erp.test/in?key=abc")
    rotated = await api.call("POST", f"/v1/webhooks/{made['id']}/secret", admin)
    secrets = [made["secret"], rotated.json["secret"]]
    assert secrets[0] != secrets[1]
    assert [len(base64.b64decode(one.removeprefix("whsec_"))) for one in secrets] == [32, 32]
    changed = await api.change(
        "PATCH", f"/v1/webhooks/{made['id']}", admin, {"url": "https://other.test"}
    )
    listed = await api.call("GET", "/v1/webhooks", admin)
    audit = await api.call("GET", "/v1/audit", admin)
    for answer in (changed, listed, audit):
        assert not [one for one in secrets if one in answer.text]
    assert "webhook.secret" in audit.text
    assert {item["url"] for item in listed.json["items"]} >= {"https://other.test"}
    async with api.database.session(read_only=True) as session:
        row = await session.get(Webhook, made["id"])
        target = open_target(api.vault, row)
    assert base64.b64encode(target.secret).decode() == secrets[1].removeprefix("whsec_")


async def test_nothing_of_them_stands_in_the_clear(
    api: Api, world: World, populated: StoreSettings
) -> None:
    """Neither vehicles nor URLs, in any column of any table."""
    admin = await api.token("admin@a.test")
    await api.make(admin, "routes", **draft(world, vehicle="ZZ-SECRET-9"))
    await api.make(admin, "webhooks", url="https://erp.test/in?key=zz-secret-key")
    path = populated.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
    for word in ("ZZ-SECRET-9", "zz-secret-key"):
        assert word not in dump
        assert word.encode().hex().upper() not in dump.upper()


@pytest.mark.parametrize(
    ("table", "values", "name"),
    [
        (Route, {"name": "other", "name_key": "other"}, "route_a"),
        (Route, {"status": "disabled"}, "route_a"),
        (Route, {"customer_id": "{customer_b}", "name": "x", "name_key": "x"}, "route_a"),
        (Webhook, {"customer_id": "{customer_b}"}, "webhook_a"),
    ],
)
async def test_a_row_that_was_changed_from_outside_is_noticed(
    api: Api, world: World, table: Any, values: dict[str, str], name: str
) -> None:
    """A route's name, status and customer, and a webhook's customer, are bound by the seal."""
    values = {key: value.format(**world.ids) for key, value in values.items()}
    async with api.database.session() as session:
        await session.execute(update(table).where(table.id == world.ids[name]).values(**values))
    letter = "b" if "customer_id" in values else "a"
    admin = await api.token(f"admin@{letter}.test")
    path = f"/v1/{table.__tablename__}/{world.ids[name]}"
    answer = await api.call("GET", path, admin)
    assert (answer.status, answer.json["type"]) == (500, "urn:steelyard:problem:vault-tampered")
    async with api.database.session(read_only=True) as session:
        lines = await session.scalars(select(AuditRecord).where(AuditRecord.outcome == "tampered"))
        assert [line.subject_id for line in lines] == [world.ids[name]]
        row = await session.get(table, world.ids[name])
        with pytest.raises(RowTampered):
            (open_plan if table is Route else open_target)(api.vault, row)


async def test_a_deleted_webhook_takes_all_that_waits_along(api: Api, world: World) -> None:
    """Its secret is gone, and nothing is sent any more."""
    webhook = world.ids["webhook_a"]
    waiting = Delivery(id="0" * 26, webhook_id=webhook, event="evt_1")
    seal_body(api.vault, waiting, b"{}")
    async with api.database.session() as session:
        session.add(waiting)
    admin = await api.token("admin@a.test")
    assert (await api.change("DELETE", f"/v1/webhooks/{webhook}", admin)).status == 204
    async with api.database.session(read_only=True) as session:
        assert await session.scalar(text("SELECT count(*) FROM webhook_deliveries")) == 0
        row = await session.get(Webhook, webhook)
        assert row is not None
        assert row.target is None
