"""Customers, users, stations, weighbridges, devices, nodes: versions, pages, deletion, audit."""

import asyncio
import io
import json
from typing import Any

import pytest
import structlog
from sqlalchemy import select, update

from registry_world import PASSWORD, Api, World, node_draft
from steelyard.ledger.errors import NodeUnavailable
from steelyard.store.audit import verify_chain
from steelyard.store.models import Node, Station
from steelyard.store.vault import Place
from steelyard.web.logs import configure_logging

NEW_PASSWORD = "four other plain words"


@pytest.fixture
async def root(api: Api, world: World) -> str:
    return await api.token(world.root)


async def test_what_was_changed_from_outside_is_not_made_good_from_inside(
    api: Api, world: World, root: str
) -> None:
    """Renaming a node, or a new secret for a station, does not seal what somebody else wrote."""
    node = (await api.call("GET", "/v1/nodes", root)).json["items"][0]["id"]
    station = (await api.call("GET", "/v1/stations", root)).json["items"][0]["id"]
    node_tag = (await api.call("GET", f"/v1/nodes/{node}", root)).etag
    station_tag = (await api.call("GET", f"/v1/stations/{station}", root)).etag
    async with api.database.session() as session:
        await session.execute(update(Node).where(Node.id == node).values(tessera_key="x" * 44))
        await session.execute(update(Station).where(Station.id == station).values(name="elsewhere"))
    answers = [
        await api.change("PATCH", f"/v1/nodes/{node}", root, {"name": "renamed"}, node_tag),
        await api.call("GET", "/v1/nodes", root),
        await api.call("POST", f"/v1/stations/{station}/credentials", root),
        await api.change("DELETE", f"/v1/stations/{station}", root, etag=station_tag),
        await api.call("GET", f"/v1/stations/{station}", root),
    ]
    for answer in answers:
        assert (answer.status, answer.json["type"]) == (500, "urn:steelyard:problem:vault-tampered")


async def test_only_one_of_many_changes_of_a_version_stands(
    api: Api, world: World, root: str
) -> None:
    """Ten changes at once on the same ETag: one succeeds, nine are told that it changed."""
    path = f"/v1/weighbridges/{world.ids['weighbridge_a']}"
    etag = (await api.call("GET", path, root)).etag
    answers = await asyncio.gather(
        *(
            api.change("PATCH", path, root, {"max_capacity": 30_000_000 + n}, etag)
            for n in range(10)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 9
    (winner,) = [answer for answer in answers if answer.status == 200]
    assert (await api.call("GET", path, root)).json == winner.json


async def test_conditional_requests(api: Api, world: World, root: str) -> None:
    """A change needs If-Match (428), of the present version (412); a known version answers 304."""
    path = f"/v1/devices/{world.ids['cell_a']}"
    etag = (await api.call("GET", path, root)).etag
    assert (await api.call("PATCH", path, root, {"status": "disabled"})).status == 428
    assert (await api.call("DELETE", path, root)).status == 428
    for wrong in ('"999"', f"W/{etag}", '"a", "b"'):
        refused = await api.change("PATCH", path, root, {"status": "disabled"}, wrong)
        assert refused.status == 412, wrong
    malformed = await api.change("PATCH", path, root, {"status": "disabled"}, "1")
    assert (malformed.status, malformed.fields()) == (400, {"If-Match"})
    known = await api.call("GET", path, root, headers={"If-None-Match": f'W/"x", {etag}'})
    assert (known.status, known.text, known.etag) == (304, "", etag)
    changed = await api.change("PATCH", path, root, {"status": "disabled"}, f'"x", {etag}')
    assert changed.status == 200
    assert changed.etag != etag
    assert (await api.call("GET", path, root, headers={"If-None-Match": etag})).status == 200
    assert (await api.change("DELETE", path, root, etag=etag)).status == 412
    assert (await api.change("DELETE", path, root, etag=changed.etag)).status == 204
    assert (await api.call("GET", path, root)).status == 404


async def test_pages_hold_everything_once(api: Api, root: str) -> None:
    """Pages of three join to the whole list, in order, each entry once; the last has no next."""
    whole = (await api.call("GET", "/v1/nodes?limit=200", root)).json["items"]
    assert len(whole) == 7
    joined: list[Any] = []
    path, pages = "/v1/nodes?limit=3", 0
    while path:
        page = (await api.call("GET", path, root)).json
        joined += page["items"]
        pages += 1
        path = page["next"] and f"/v1/nodes?limit=3&cursor={page['next']}"
    assert (joined, pages) == (whole, 3)


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "bnVsbA", "MQ", "IjAxSkQi", "e30", "W10", "A" * 513]
)
async def test_a_made_up_cursor_is_refused(api: Api, root: str, cursor: str) -> None:
    """422 that names the cursor, for what is no cursor and for one of another list."""
    answer = await api.call("GET", f"/v1/nodes?cursor={cursor}", root)
    assert (answer.status, answer.fields()) == (422, {"cursor"}), answer.text


async def test_filters(api: Api, world: World, root: str) -> None:
    """Each filter of each list keeps the entries that pass, and nothing else."""
    ids = world.ids
    for path, expected in (
        ("customers?name=CUSTOMER%20A", ["customer_a"]),
        ("customers?status=disabled", []),
        ("users?login=ADMIN%40a.test", ["admin_a"]),
        (f"users?customer_id={ids['customer_b']}&role=customer-user", ["user_b"]),
        ("stations?name=station-b", ["station_b"]),
        (f"stations?customer_id={ids['customer_a']}&status=active", ["station_a"]),
        (f"weighbridges?station_id={ids['station_b']}", ["weighbridge_b"]),
        ("weighbridges?scale_serial=WB-9", []),
        (f"devices?weighbridge_id={ids['weighbridge_a']}", ["cell_a"]),
        ("devices?kind=smartbox&serial=SB-1", ["box_a", "box_b"]),
        ("nodes?role=admin&free=true", ["admin-3"]),
        (f"nodes?role=station&customer_id={ids['customer_b']}", ["station-node-2"]),
    ):
        items = (await api.call("GET", f"/v1/{path}", root)).json["items"]
        assert [item["id"] for item in items] == [ids[name] for name in expected], path


async def test_a_merge_patch_sets_keeps_and_removes(api: Api, world: World, root: str) -> None:
    """RFC 7396: what is sent is set, null removes where that is possible, the rest is kept."""
    path = f"/v1/devices/{world.ids['cell_a']}"
    fingerprint = "ab" * 32
    await api.change("PATCH", path, root, {"certificate_fingerprint": fingerprint})
    kept = await api.change("PATCH", path, root, {"status": "disabled"})
    assert kept.json["certificate_fingerprint"] == fingerprint
    removed = await api.change("PATCH", path, root, {"certificate_fingerprint": None})
    assert removed.json["certificate_fingerprint"] is None
    assert removed.json["status"] == "disabled"
    refused = await api.change("PATCH", path, root, {"status": None})
    assert (refused.status, refused.fields()) == (422, {"status"})
    merge = {"Content-Type": "application/merge-patch+json", "If-Match": "*"}
    answer = await api.call("PATCH", path, root, data=b'{"status": "active"}', headers=merge)
    assert answer.json["status"] == "active"


async def test_names_are_taken_once(api: Api, world: World, root: str) -> None:
    """409 that says what is taken: names and log-ins in any case, serials of the customer."""
    ids = world.ids
    bridge = {"station_id": ids["station_a"], "max_capacity": 10, "scale_interval": 1}
    for plural, draft in (
        ("customers", {"name": "CUSTOMER A"}),
        ("nodes", node_draft("admin-1", "admin")),
        (
            "users",
            {
                "login": "Root@Platform.test",
                "password": NEW_PASSWORD,
                "role": "platform-administrator",
            },
        ),
        ("stations", {"name": "STATION-A", "customer_id": ids["customer_a"]}),
        ("weighbridges", bridge | {"name": "other", "scale_serial": "WB-1"}),
        ("weighbridges", bridge | {"name": "WB-1", "scale_serial": "other"}),
        ("devices", {"station_id": ids["station_a"], "kind": "smartbox", "serial": "SB-1"}),
    ):
        answer = await api.call("POST", f"/v1/{plural}", root, draft)
        assert answer.status == 409, (plural, answer.text)
        assert answer.json["type"] == "urn:steelyard:problem:taken"
        assert "already" in answer.json["detail"]


async def test_a_customer_goes_when_its_stations_are_gone(
    api: Api, world: World, root: str
) -> None:
    """Deletion names the stations that are in the way; with the customer its users go."""
    path = f"/v1/customers/{world.ids['customer_a']}"
    user = await api.token("user@a.test")
    refused = await api.change("DELETE", path, root)
    assert refused.status == 409
    assert "station-a" in refused.json["detail"]
    await api.change("DELETE", f"/v1/stations/{world.ids['station_a']}", root)
    assert (await api.change("DELETE", path, root)).status == 204
    assert (await api.call("GET", "/v1/users", user)).status == 401
    assert (await api.log_in("user@a.test")).status == 400
    assert (await api.call("GET", path, root)).status == 404


async def test_a_deleted_station_is_locked_out_and_its_contract_stays(
    api: Api, world: World, root: str
) -> None:
    """Neither its token nor its secret is good any more, its key is gone; the address is kept."""
    station = await api.station_token(*world.credentials["a"])
    path = f"/v1/stations/{world.ids['station_a']}"
    assert (await api.change("DELETE", path, root)).status == 204
    assert (await api.call("GET", "/v1/stations", station)).status == 401
    client_id, secret = world.credentials["a"]
    again = await api.form(
        "/oauth2/token",
        grant_type="client_credentials",
        client_id=client_id,
        client_secret=secret,
    )
    assert again.status == 401
    async with api.database.session(read_only=True) as session:
        row = await session.get(Station, world.ids["station_a"])
    assert (row.account_key, row.client_secret_hash) == (None, None)
    place = Place("stations", row.id, "contract_address")
    assert api.vault.open_text(place, row.contract_address).startswith("0x")


async def test_a_disabled_station_is_locked_out_until_it_is_enabled(
    api: Api, world: World, root: str
) -> None:
    """Its token ends at once; after it is enabled its secret works again."""
    station = await api.station_token(*world.credentials["a"])
    path = f"/v1/stations/{world.ids['station_a']}"
    await api.change("PATCH", path, root, {"status": "disabled"})
    assert (await api.call("GET", "/v1/stations", station)).status == 401
    await api.change("PATCH", path, root, {"status": "active"})
    assert (await api.call("GET", "/v1/stations", station)).status == 401
    await api.station_token(*world.credentials["a"])


async def test_rotated_credentials_replace_the_old_ones(api: Api, world: World) -> None:
    """A customer's administrator rotates; the old secret and token end, the new secret is shown."""
    old_token = await api.station_token(*world.credentials["a"])
    admin = await api.token("admin@a.test")
    path = f"/v1/stations/{world.ids['station_a']}/credentials"
    fresh = (await api.call("POST", path, admin)).json
    assert (await api.call("GET", "/v1/stations", old_token)).status == 401
    assert fresh["client_secret"] != world.credentials["a"][1]
    await api.station_token(fresh["client_id"], fresh["client_secret"])


async def test_the_contract_is_shown_to_the_customers_people(api: Api, world: World) -> None:
    """They get what they need to check tickets at their own node."""
    user = await api.token("user@a.test")
    answer = await api.call("GET", f"/v1/stations/{world.ids['station_a']}/contract", user)
    assert answer.json["contract_address"].startswith("0x")
    assert answer.json["parties"] == [node_draft("admin-1", "admin")["tessera_public_key"]]


async def test_a_failed_deployment_says_so_and_can_be_repeated(
    api: Api, world: World, root: str
) -> None:
    """The ledger's problem reaches the caller; the same request succeeds when it is back."""
    api.ledger.failures = [NodeUnavailable("The node does not answer.")]
    draft = {"name": "north", "customer_id": world.ids["customer_a"]}
    refused = await api.call("POST", "/v1/stations", root, draft)
    assert (refused.status, refused.json["type"][-16:]) == (503, "node-unavailable")
    free = (await api.call("GET", "/v1/nodes?role=station&free=true", root)).json["items"]
    assert len(free) == 2
    made = await api.call("POST", "/v1/stations", root, draft)
    assert made.status == 201
    assert made.headers["Location"] == f"/v1/stations/{made.json['id']}"
    await api.station_token(made.json["client_id"], made.json["client_secret"])


async def test_when_no_node_is_free(api: Api, world: World, root: str) -> None:
    """409 with what to do, for a station and for a customer; nothing is kept of either."""
    for name in ("n-1", "n-2"):
        await api.make(root, "stations", name=name, customer_id=world.ids["customer_a"])
    draft = {"name": "n-3", "customer_id": world.ids["customer_a"]}
    refused = await api.call("POST", "/v1/stations", root, draft)
    assert (refused.status, refused.json["type"][-12:]) == (409, "no-free-node")
    await api.make(root, "customers", name="C")
    refused = await api.call("POST", "/v1/customers", root, {"name": "D"})
    assert (refused.status, refused.json["type"][-12:]) == (409, "no-free-node")
    assert (await api.call("GET", "/v1/customers?name=D", root)).json["items"] == []


async def test_a_station_gets_the_node_that_is_named(api: Api, world: World, root: str) -> None:
    """Not the first free one; who has it is told; a node of another role or owner is refused."""
    ids = world.ids
    draft = {"customer_id": ids["customer_a"], "node_id": ids["station-node-4"]}
    made = await api.make(root, "stations", name="south", **draft)
    found = await api.call("GET", f"/v1/nodes?station_id={made['id']}", root)
    assert [one["name"] for one in found.json["items"]] == ["station-node-4"]
    again = await api.call("POST", "/v1/stations", root, {"name": "west", **draft})
    assert (again.status, again.json["type"]) == (409, "urn:steelyard:problem:node-in-use")
    assert "station-node-4" in again.json["detail"]
    # The first station's node is customer a's: b must not get it, though b is the one that asks.
    theirs = {"customer_id": ids["customer_b"], "name": "west", "node_id": ids["station-node-1"]}
    assert (await api.call("POST", "/v1/stations", root, theirs)).status == 409
    for wrong in (ids["admin-3"], ids["customer_a"]):
        answer = await api.call(
            "POST",
            "/v1/stations",
            root,
            {"name": "west", "customer_id": ids["customer_a"], "node_id": wrong},
        )
        assert (answer.status, answer.fields()) == (422, {"node_id"})
    names = [one["name"] for one in (await api.call("GET", "/v1/stations", root)).json["items"]]
    assert sorted(names) == ["south", "station-a", "station-b"]


async def test_a_deleted_stations_node_is_not_given_again(
    api: Api, world: World, root: str
) -> None:
    """Not even by name: its private state holds that station's tickets."""
    ids = world.ids
    path = f"/v1/stations/{ids['station_a']}"
    (node,) = (await api.call("GET", f"/v1/nodes?station_id={ids['station_a']}", root)).json[
        "items"
    ]
    assert (await api.change("DELETE", path, root)).status == 204
    draft = {"customer_id": ids["customer_a"], "name": "west", "node_id": node["id"]}
    assert (await api.call("POST", "/v1/stations", root, draft)).status == 409


async def test_a_customer_gets_the_admin_node_that_is_named(
    api: Api, world: World, root: str
) -> None:
    """And no node of another role or customer; a refusal leaves no customer."""
    await api.make(root, "nodes", **node_draft("admin-0", "admin"))
    made = await api.make(root, "customers", name="C", admin_node_id=world.ids["admin-3"])
    nodes = (await api.call("GET", f"/v1/nodes?customer_id={made['id']}", root)).json["items"]
    assert [one["name"] for one in nodes] == ["admin-3"]
    for wrong, status in (
        (world.ids["admin-1"], 409),
        (world.ids["station-node-4"], 422),
        (world.ids["root"], 422),
    ):
        draft = {"name": "D", "admin_node_id": wrong}
        assert (await api.call("POST", "/v1/customers", root, draft)).status == status
    assert (await api.call("GET", "/v1/customers?name=D", root)).json["items"] == []


async def test_a_moved_node_takes_its_station_along(api: Api, world: World, root: str) -> None:
    """The URLs of a node that moved are changed where the station's are kept; both stay sealed."""
    node_id = world.ids["station-node-1"]
    gateway = "https://node.test:8600/acme-admin"
    urls = {"rpc_url": f"{gateway}/rpc", "tessera_url": f"{gateway}/tessera"}
    moved = await api.change("PATCH", f"/v1/nodes/{node_id}", root, urls)
    assert {name: moved.json[name] for name in urls} == urls
    async with api.database.session(read_only=True) as session:
        node = await session.get(Node, node_id)
        row = await session.scalar(select(Station).where(Station.node_id == node_id))
    assert b"node.test" not in node.rpc_url + node.tessera_url + row.node_url + row.tessera_url
    for column, name in (("node_url", "rpc_url"), ("tessera_url", "tessera_url")):
        place = Place("stations", row.id, column)
        assert api.vault.open_text(place, getattr(row, column)) == urls[name]


async def test_a_node_that_is_somebodys_stays(api: Api, world: World, root: str) -> None:
    """A customer's node cannot be deleted, a free one can."""
    taken = await api.change("DELETE", f"/v1/nodes/{world.ids['station-node-1']}", root)
    assert (taken.status, taken.json["type"][-11:]) == (409, "node-in-use")
    free = await api.change("DELETE", f"/v1/nodes/{world.ids['station-node-4']}", root)
    assert free.status == 204


async def test_a_tampered_url_is_found_and_audited(api: Api, world: World, root: str) -> None:
    """A changed byte in the vault gives 500 without the value, and an audit line."""
    node_id = world.ids["station-node-1"]
    async with api.database.session() as session:
        node = await session.get(Node, node_id)
        node.rpc_url = node.rpc_url[:-1] + bytes([node.rpc_url[-1] ^ 1])
    answer = await api.call("GET", f"/v1/nodes/{node_id}", root)
    assert (answer.status, answer.json["type"][-14:]) == (500, "vault-tampered")
    lines = (await api.call("GET", f"/v1/audit?subject_id={node_id}&outcome=tampered", root)).json
    assert [line["action"] for line in lines["items"]] == ["vault.open"]


async def test_a_weighbridge_on_load_cells_stays(api: Api, world: World, root: str) -> None:
    """It names its load cells; without them it goes, and its serial is free again."""
    path = f"/v1/weighbridges/{world.ids['weighbridge_a']}"
    refused = await api.change("DELETE", path, root)
    assert refused.status == 409
    assert "LC-1" in refused.json["detail"]
    await api.change("DELETE", f"/v1/devices/{world.ids['cell_a']}", root)
    assert (await api.change("DELETE", path, root)).status == 204
    await api.make(
        root,
        "weighbridges",
        station_id=world.ids["station_a"],
        name="wb-1",
        scale_serial="WB-1",
        max_capacity=10,
        scale_interval=1,
    )


async def test_a_load_cell_and_a_smartbox_have_their_places(
    api: Api, world: World, root: str
) -> None:
    """A load cell needs a weighbridge of its station, a SmartBox has none."""
    ids = world.ids
    cell = {"station_id": ids["station_a"], "kind": "loadcell", "serial": "X"}
    box = {"station_id": ids["station_a"], "kind": "smartbox", "serial": "X"}
    for draft in (
        cell,
        box | {"weighbridge_id": ids["weighbridge_a"]},
        cell | {"weighbridge_id": ids["weighbridge_b"]},
    ):
        answer = await api.call("POST", "/v1/devices", root, draft)
        assert (answer.status, answer.fields()) == (422, {"weighbridge_id"})
    for device, place in (("box_a", "weighbridge_a"), ("cell_a", "weighbridge_b")):
        path, patch = f"/v1/devices/{ids[device]}", {"weighbridge_id": ids[place]}
        answer = await api.change("PATCH", path, root, patch)
        assert (answer.status, answer.fields()) == (422, {"weighbridge_id"})


async def test_a_scale_interval_fits_the_capacity(api: Api, world: World, root: str) -> None:
    """Neither a draft nor a patch makes the interval larger than the capacity."""
    draft = {"station_id": world.ids["station_a"], "name": "x", "scale_serial": "X"}
    answer = await api.call(
        "POST", "/v1/weighbridges", root, draft | {"max_capacity": 10, "scale_interval": 11}
    )
    assert (answer.status, answer.fields()) == (422, {"scale_interval"})
    path = f"/v1/weighbridges/{world.ids['weighbridge_a']}"
    answer = await api.change("PATCH", path, root, {"max_capacity": 10})
    assert (answer.status, answer.fields()) == (422, {"scale_interval"})


async def test_passwords(api: Api, world: World, root: str) -> None:
    """One's own needs the current one; an administrator sets another's; log-ins end either way."""
    user_id = world.ids["user_a"]
    path = f"/v1/users/{user_id}/password"
    user = await api.token("user@a.test")
    missing = await api.call("POST", path, user, {"new_password": NEW_PASSWORD})
    assert (missing.status, missing.fields()) == (422, {"current_password"})
    wrong = {"new_password": NEW_PASSWORD, "current_password": "wrong"}
    assert (await api.call("POST", path, user, wrong)).status == 400
    weak = {"new_password": "short", "current_password": PASSWORD}
    refused = await api.call("POST", path, user, weak)
    assert (refused.status, refused.json["type"][-13:]) == (422, "weak-password")
    right = {"new_password": NEW_PASSWORD, "current_password": PASSWORD}
    assert (await api.call("POST", path, user, right)).status == 204
    assert (await api.call("GET", "/v1/users", user)).status == 401
    user = await api.token("user@a.test", NEW_PASSWORD)
    admin = await api.token("admin@a.test")
    assert (await api.call("POST", path, admin, {"new_password": PASSWORD})).status == 204
    assert (await api.call("GET", "/v1/users", user)).status == 401
    await api.token("user@a.test", PASSWORD)
    own = f"/v1/users/{world.ids['root']}/password"
    assert (await api.call("POST", own, root, {"new_password": NEW_PASSWORD})).status == 422


async def test_a_changed_role_ends_the_log_in(api: Api, world: World) -> None:
    """A user who becomes an administrator logs in again to be one."""
    user = await api.token("user@a.test")
    admin = await api.token("admin@a.test")
    path = f"/v1/users/{world.ids['user_a']}"
    changed = await api.change("PATCH", path, admin, {"role": "customer-administrator"})
    assert changed.json["role"] == "customer-administrator"
    assert (await api.call("GET", "/v1/users", user)).status == 401
    again = await api.token("user@a.test")
    assert len((await api.call("GET", "/v1/users", again)).json["items"]) == 2


async def test_the_last_platform_administrator_stays(api: Api, world: World, root: str) -> None:
    """The last can be neither deleted nor disabled nor given another role; the last but one can."""
    path = f"/v1/users/{world.ids['root']}"
    assert (await api.change("DELETE", path, root)).status == 409
    assert (await api.change("PATCH", path, root, {"status": "disabled"})).status == 409
    role = await api.change("PATCH", path, root, {"role": "customer-user"})
    assert (role.status, role.fields()) == (422, {"role"})
    draft = {"login": "second@platform.test", "role": "platform-administrator"}
    await api.make(root, "users", password=PASSWORD, **draft)
    assert (await api.change("DELETE", path, root)).status == 204


async def test_two_administrators_cannot_remove_each_other(
    api: Api, world: World, root: str
) -> None:
    """Of two deletions at once that would leave nobody, one is refused."""
    draft = {"login": "second@platform.test", "role": "platform-administrator"}
    second = await api.make(root, "users", password=PASSWORD, **draft)
    token = await api.token("second@platform.test")
    answers = await asyncio.gather(
        api.change("DELETE", f"/v1/users/{second['id']}", root, etag="*"),
        api.change("DELETE", f"/v1/users/{world.ids['root']}", token, etag="*"),
    )
    assert sorted(answer.status for answer in answers) in ([204, 401], [204, 409])


async def test_a_disabled_customer_is_locked_out(api: Api, world: World, root: str) -> None:
    """Neither its users nor its stations get in while it is disabled."""
    path = f"/v1/customers/{world.ids['customer_a']}"
    user, station = await api.token("user@a.test"), await api.station_token(*world.credentials["a"])
    await api.change("PATCH", path, root, {"status": "disabled"})
    for token in (user, station):
        assert (await api.call("GET", "/v1/stations", token)).status == 401
    assert (await api.log_in("user@a.test")).status == 400
    await api.change("PATCH", path, root, {"status": "active"})
    assert (await api.call("GET", "/v1/stations", user)).status == 200


async def test_every_change_is_audited(api: Api, world: World, root: str) -> None:
    """Each change leaves one line with who, what and the request's id; the chain is whole."""
    bridge = f"/v1/weighbridges/{world.ids['weighbridge_a']}"
    headers = {"If-Match": "*", "X-Request-Id": "request-0001"}
    await api.call("PATCH", bridge, root, {"max_capacity": 40_000_000}, headers=headers)
    lines = (await api.call("GET", "/v1/audit?action=weighbridge.update", root)).json["items"]
    assert len(lines) == 1
    assert lines[0]["request_id"] == "request-0001"
    assert lines[0]["actor_id"] == world.ids["root"]
    assert lines[0]["subject_id"] == world.ids["weighbridge_a"]
    assert lines[0]["detail"] == {"fields": ["max_capacity"]}
    assert lines[0]["at"].endswith("Z")
    async with api.database.session(read_only=True) as session:
        head = await verify_chain(session)
    newest = (await api.call("GET", "/v1/audit?limit=1", root)).json
    assert newest["items"][0]["number"] == head.seq
    following = await api.call("GET", f"/v1/audit?limit=1&cursor={newest['next']}", root)
    assert following.json["items"][0]["number"] == head.seq - 1


async def test_a_refused_change_is_not_audited(api: Api, world: World, root: str) -> None:
    """What was not changed leaves no line."""
    before = (await api.call("GET", "/v1/audit?limit=1", root)).json["items"][0]["number"]
    bridge = f"/v1/weighbridges/{world.ids['weighbridge_a']}"
    await api.change("PATCH", bridge, root, {"max_capacity": 40_000_000}, '"999"')
    await api.change("DELETE", bridge, root)
    await api.call("POST", "/v1/customers", root, {"name": "Customer A"})
    after = (await api.call("GET", "/v1/audit?limit=1", root)).json["items"][0]["number"]
    assert after == before


async def test_a_customers_administrator_sees_the_customers_lines_only(
    api: Api, world: World, root: str
) -> None:
    """Lines about one's own, by whomever; none about another customer's or the platform's."""
    for letter in "ab":
        path = f"/v1/weighbridges/{world.ids[f'weighbridge_{letter}']}"
        await api.change("PATCH", path, root, {"max_capacity": 40_000_000})
        grant = (await api.log_in(f"user@{letter}.test")).json
        await api.form("/oauth2/revoke", token=grant["refresh_token"])
    own = {value for name, value in world.ids.items() if name.endswith("_a")}
    admin = await api.token("admin@a.test")
    lines = (await api.call("GET", "/v1/audit?limit=200", admin)).json["items"]
    seen = {line["action"] for line in lines}
    assert {"weighbridge.update", "station.create", "user.log-in", "token.revoke"} <= seen
    for line in lines:
        assert line["subject_id"] in own or line["actor_id"] in own, line
    everything = (await api.call("GET", "/v1/audit?limit=200", root)).json["items"]
    assert len(everything) > len(lines)


async def test_no_secret_is_in_the_logs(api: Api, world: World, root: str) -> None:
    """Passwords, tokens, client secrets, query values and node URLs stay out of the log."""
    stream = io.StringIO()
    configure_logging("debug", stream)
    try:
        grant = (await api.log_in("user@a.test")).json
        await api.log_in("user@a.test", "a wrong password")
        await api.call("GET", "/v1/users?login=queried%40a.test", grant["access_token"])
        await api.call("GET", "/v1/nowhere/secret-path", grant["access_token"])
        made = await api.make(root, "stations", name="x", customer_id=world.ids["customer_a"])
        await api.station_token(made["client_id"], made["client_secret"])
        await api.change(
            "PATCH", f"/v1/nodes/{world.ids['admin-3']}", root, {"rpc_url": "http://hidden.test:1"}
        )
    finally:
        structlog.reset_defaults()
    log = stream.getvalue()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["route"] for line in lines if line["event"] == "request"} >= {
        "/oauth2/token",
        "/v1/users",
        "(unmatched)",
    }
    for secret in (
        PASSWORD,
        "a wrong password",
        grant["access_token"],
        grant["refresh_token"],
        root,
        made["client_secret"],
        "queried",
        "secret-path",
        "hidden.test",
    ):
        assert secret not in log
