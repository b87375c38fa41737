"""The API over SQLite and over PostgreSQL: one walk through every noun."""

import asyncio

from registry_world import PASSWORD, Secrets, populate, running_api
from steelyard.store.audit import verify_chain
from steelyard.store.settings import StoreSettings


async def test_a_walk_through_every_noun(secrets: Secrets, store_settings: StoreSettings) -> None:
    """Registered, listed, filtered, changed, raced for, deleted and audited alike on both."""
    async with running_api(secrets, store_settings) as api:
        world = await populate(api)
        ids, root = world.ids, await api.token(world.root)
        admin, user = await api.token("admin@a.test"), await api.token("user@a.test")
        station = await api.station_token(*world.credentials["a"])
        for token, plural, count in (
            (root, "nodes?free=false&limit=3", 3),
            (root, "customers?name=customer%20A", 1),
            (admin, "users?role=customer-user&status=active", 1),
            (user, "stations?name=STATION-A", 1),
            (station, "weighbridges?scale_serial=WB-1", 1),
            (station, "devices?kind=loadcell", 1),
        ):
            answer = await api.call("GET", f"/v1/{plural}", token)
            assert len(answer.json["items"]) == count, plural
        path = f"/v1/weighbridges/{ids['weighbridge_a']}"
        etag = (await api.call("GET", path, admin)).etag
        raced = await asyncio.gather(
            *(
                api.change("PATCH", path, admin, {"max_capacity": 10_000_000 + n}, etag)
                for n in range(5)
            )
        )
        assert sorted(answer.status for answer in raced) == [200] + [412] * 4
        assert (await api.change("DELETE", path, admin)).status == 409
        taken = {"login": "USER@a.test", "password": PASSWORD, "role": "customer-user"}
        assert (await api.call("POST", "/v1/users", admin, taken)).status == 409
        for plural, name, token in (
            ("devices", "cell_a", admin),
            ("devices", "box_a", admin),
            ("weighbridges", "weighbridge_a", admin),
            ("users", "user_a", admin),
            ("stations", "station_a", root),
            ("customers", "customer_a", root),
            ("nodes", "admin-3", root),
        ):
            answer = await api.change("DELETE", f"/v1/{plural}/{ids[name]}", token)
            assert answer.status == 204, (plural, answer.text)
        for token in (admin, user, station):
            assert (await api.call("GET", "/v1/stations", token)).status == 401
        lines = (await api.call("GET", "/v1/audit?limit=200", root)).json["items"]
        assert {"customer.delete", "node.delete", "station.delete"} <= {
            line["action"] for line in lines
        }
        other = await api.token("admin@b.test")
        seen = (await api.call("GET", "/v1/audit?limit=200", other)).json["items"]
        own = {value for name, value in ids.items() if name.endswith("_b")}
        assert seen
        assert all(line["subject_id"] in own or line["actor_id"] in own for line in seen)
        async with api.database.session(read_only=True) as session:
            await verify_chain(session)
