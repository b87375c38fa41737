"""`steelyard provision` as its operator sees it, at a real server over HTTPS."""

import json
import stat

import pytest

from registry_world import node_draft


async def test_everything_is_registered_at_its_place(bed):
    """Nodes by name, not by their order; devices under their weighbridges; secrets as files."""
    result = await bed.provision()
    api = bed.client()
    customers = {one["id"]: one["name"] for one in await api.entities("customers")}
    nodes = {one["name"]: one for one in await api.entities("nodes")}
    assert len(nodes) == 7
    assert customers[nodes["b-admin"]["customer_id"]] == "acme"
    assert customers[nodes["a-admin"]["customer_id"]] == "birch"
    stations = {one["name"]: one for one in await api.entities("stations")}
    places = {name: await bed.node_of(one["id"]) for name, one in stations.items()}
    assert places == {"north": "node-3", "south": "node-2", "east": "node-1"}
    assert {one["status"] for one in stations.values()} == {"active"}
    (bridge,) = await api.entities("weighbridges")
    assert (bridge["scale_interval"], bridge["station_id"]) == (20_000, stations["north"]["id"])
    devices = {(one["station_id"], one["serial"]): one for one in await api.entities("devices")}
    assert len(devices) == 4
    assert devices[stations["north"]["id"], "LC-2"]["weighbridge_id"] == bridge["id"]
    assert result["stations"]["north"] == {
        "id": stations["north"]["id"],
        "client_id": stations["north"]["client_id"],
        "node": "node-3",
        "secret_file": str(bed.secrets / "station-north.secret"),
    }
    for name, told in result["stations"].items():
        assert await bed.api.station_token(told["client_id"], bed.secret(name))
    password = (bed.secrets / "user-ops@acme.example.password").read_text().strip()
    assert await bed.api.token("ops@acme.example", password)
    assert {stat.S_IMODE(path.stat().st_mode) for path in bed.secrets.iterdir()} == {0o600}
    assert stat.S_IMODE(bed.secrets.stat().st_mode) == 0o700
    shown = json.dumps(result)
    assert password not in shown
    assert bed.secret("north") not in shown


async def test_the_second_time_nothing_is_changed(bed):
    """Also when the customer's user has its password file taken away: it is not reset."""
    first = await bed.provision()
    (bed.secrets / "user-ops@acme.example.password").unlink()
    lines = await bed.lines()
    second = await bed.provision()
    assert second == {"changed": [], "stations": first["stations"]}
    assert await bed.lines() == lines
    assert len(list(bed.secrets.iterdir())) == 3


async def test_the_document_may_come_by_a_pipe(bed):
    """So that it need not be kept anywhere."""
    status, out, _ = await bed.command(piped=True)
    assert (status, len(json.loads(out)["stations"])) == (0, 3)


async def test_on_trial_it_tells_and_changes_nothing(bed):
    """The same sentences as in earnest, from nothing and later."""
    told = await bed.provision("--trial")
    assert not bed.secrets.exists()
    assert await bed.client().entities("nodes") == []
    assert sorted(told["changed"]) == sorted((await bed.provision())["changed"])
    bed.document["nodes"][4]["rpc_url"] = "https://10.0.0.9:8600/node-2/rpc"
    assert (await bed.provision("--trial"))["changed"] == [
        "node node-2 moved: https://10.0.0.9:8600/node-2/rpc"
    ]


async def test_a_node_moves_and_its_station_with_it(bed):
    """A changed URL is changed at the platform, once."""
    await bed.provision()
    bed.document["nodes"][5]["tessera_url"] = "https://10.0.0.9:8600/node-3/tessera"
    assert (await bed.provision())["changed"] == [
        "node node-3 moved: https://10.0.0.9:8600/node-3/tessera"
    ]
    assert (await bed.provision())["changed"] == []


async def test_what_is_new_is_added(bed):
    """A station, a cell and a customer of later on; a cell that changed its weighbridge moves."""
    await bed.provision()
    acme = bed.document["customers"][0]
    second = {**acme["stations"][0]["weighbridges"][0], "name": "WB-2", "scale_serial": "S-2"}
    acme["stations"][0]["weighbridges"][0]["cells"] = ["LC-1", "LC-3"]
    acme["stations"][0]["weighbridges"].append({**second, "cells": ["LC-2"]})
    bed.document["nodes"].append(node_draft("c-admin", "admin"))
    bed.document["customers"].append(
        {
            "name": "cedar",
            "admin_node": "c-admin",
            "stations": [{"name": "west", "node": "node-4"}],
        }
    )
    result = await bed.provision()
    assert result["changed"] == [
        "node c-admin registered",
        "customer cedar registered",
        *sorted(result["changed"][2:], key=result["changed"].index),
    ]
    assert set(result["changed"][2:]) == {
        "loadcell LC-3 of north registered",
        "weighbridge WB-2 of north registered",
        "loadcell LC-2 moved to WB-2 of north",
        "station west registered",
    }
    assert (await bed.provision())["changed"] == []


async def test_a_lost_secret_is_made_anew(bed):
    """Who has no file has nothing to log in with: the old secret ends."""
    first = await bed.provision()
    old = bed.secret("north")
    (bed.secrets / "station-north.secret").unlink()
    assert (await bed.provision())["changed"] == ["station north has new credentials"]
    client = first["stations"]["north"]["client_id"]
    assert await bed.api.station_token(client, bed.secret("north"))
    refused = await bed.api.form(
        "/oauth2/token", grant_type="client_credentials", client_id=client, client_secret=old
    )
    assert refused.status == 401


async def test_credentials_are_replaced_on_demand(bed):
    """Without a document as well; of a station that is there only."""
    await bed.provision()
    old = bed.secret("south")
    result = await bed.provision("--new-credentials", "south", document=False)
    assert result["changed"] == ["station south has new credentials"]
    assert list(result["stations"]) == ["south"]
    assert bed.secret("south") != old
    assert "station nowhere: is not registered" in await bed.refused("--new-credentials", "nowhere")


async def test_a_station_is_taken_out_of_service(bed):
    """It cannot log in, its serials are free again, its contract stays the customer's."""
    told = (await bed.provision())["stations"]["north"]
    secret = bed.secret("north")
    password = (bed.secrets / "user-ops@acme.example.password").read_text().strip()
    user = await bed.api.token("ops@acme.example", password)
    before = await bed.api.call("GET", f"/v1/stations/{told['id']}/contract", user)
    assert before.status == 200
    result = await bed.provision("--remove", "station", "north", document=False)
    assert result == {"changed": ["station north removed"], "stations": {}}
    assert not (bed.secrets / "station-north.secret").exists()
    refused = await bed.api.form(
        "/oauth2/token",
        grant_type="client_credentials",
        client_id=told["client_id"],
        client_secret=secret,
    )
    assert refused.status == 401
    assert await bed.client().entities("weighbridges") == []
    assert [one["serial"] for one in await bed.client().entities("devices")] == ["SB-1"]
    again = await bed.provision("--remove", "station", "north", document=False)
    assert again["changed"] == []
    # The scale and the node's neighbour go on at another station.
    moved = bed.document["customers"][0]["stations"].pop(0)
    bed.document["customers"][0]["stations"].append(moved | {"name": "hill", "node": "node-4"})
    assert "station hill registered" in (await bed.provision())["changed"]


async def test_what_is_described_is_not_removed(bed):
    """The document and the option contradict each other."""
    await bed.provision()
    said = await bed.refused("--remove", "station", "North")
    assert "station North: is to be removed, but is in the document" in said


def bridge(document):
    return document["customers"][0]["stations"][0]["weighbridges"][0]


def another_admin_node(document):
    document["nodes"].append(node_draft("c-admin", "admin"))
    document["customers"][1]["admin_node"] = "c-admin"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda d: bridge(d).update(scale_interval=50_000),
            "weighbridge WB-1 of north: its scale interval is 20000 g, not 50000 g",
        ),
        (lambda d: bridge(d).update(max_capacity=1), "its capacity is 60000000 g, not 1 g"),
        (lambda d: bridge(d).update(name="WB-9"), "the scale S-1 is registered as WB-1"),
        (
            lambda d: d["customers"][0]["stations"][1].update(node="node-4"),
            "station south: its node is node-2, not node-4; a station's node never changes",
        ),
        (
            another_admin_node,
            "customer birch: its admin node is a-admin, not c-admin",
        ),
        (
            lambda d: d["nodes"][0].update(role="admin"),
            "node network-1: is registered with the role network, not admin",
        ),
        (
            lambda d: d["nodes"][0].update(tessera_public_key=node_draft("x", "admin")["name"]),
            "node network-1: has another Tessera key",
        ),
        (
            lambda d: d["nodes"].append({**d["nodes"][0], "name": "network-2"}),
            "node network-2: its Tessera key is that of the registered node network-1",
        ),
        (
            lambda d: (
                d["customers"][1].update(users=[{"login": "OPS@acme.example"}])
                or d["customers"][0].update(users=[])
            ),
            "user OPS@acme.example: is registered, but not as one of birch",
        ),
        (
            lambda d: d["customers"][0]["stations"].append({"name": "w", "node": "node-9"}),
            "station w: its node node-9 is neither registered nor described",
        ),
        (
            lambda d: d["customers"][0]["stations"].append(
                {"name": "w", "node": d["customers"][1]["stations"].pop()["node"]}
            ),
            "station w: the node node-1 is another customer's",
        ),
        (
            lambda d: d["customers"].append({"name": "cedar"}),
            "customer cedar: needs an admin_node",
        ),
        (
            lambda d: (
                d["customers"][0]["stations"][1].update(smartbox="LC-1")
                or bridge(d).update(cells=[])
            ),
            "device LC-1: is registered as a loadcell, not as a smartbox",
        ),
        (
            lambda d: d["customers"][0]["stations"].insert(0, {"name": "North", "node": "node-4"}),
            "stations: north must be there once only",
        ),
        (lambda d: d.update(more=1), "entities.json: more: Extra inputs are not permitted"),
    ],
)
async def test_what_cannot_be_is_told_before_anything_is_changed(bed, change, sentence):
    """By the name of what is in the way."""
    await bed.provision()
    bed.document["nodes"][6]["rpc_url"] = "https://10.0.0.9:8600/elsewhere"
    change(bed.document)
    assert sentence in await bed.refused()


async def test_several_conflicts_are_told_at_once(bed):
    """One run is enough to see them all."""
    await bed.provision()
    bridge(bed.document).update(scale_interval=50_000)
    another_admin_node(bed.document)
    said = await bed.refused()
    assert "scale interval" in said
    assert "admin node" in said


async def test_others_may_not_look_into_the_secrets(bed):
    """A directory that others can open is refused before anything is made."""
    bed.secrets.mkdir(mode=0o755)
    bed.secrets.chmod(0o755)
    assert "must be its owner's only (mode 0700); it has mode 0755" in await bed.refused()


async def test_only_the_named_authority_is_trusted(bed, tmp_path):
    """Another authority's server gets no password."""
    from registry_world import write_certificate

    bed.authority = write_certificate(tmp_path, "other")[0]
    status, _, err = await bed.command()
    assert status == 1
    assert "the server's certificate" in err
    assert err.count("\n") == 1


async def test_a_log_in_that_fails_is_told(bed):
    """With its name."""
    status, _, err = await bed.command("--login", "nobody@platform.test")
    assert status == 1
    assert "nobody@platform.test cannot log in" in err
