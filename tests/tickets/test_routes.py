"""A vehicle's route at the API: over all stations, in order, flagged, and nobody else's."""

from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from steelyard.store.models import Route
from tickets_world import World, ticket_json
from webhook_kit import add_route

A = f"{'a':0>26}"


async def send(world: World, station: str, number: int, **changes: Any) -> dict[str, Any]:
    """Register a ticket of a station; the ticket."""
    ticket = ticket_json(number, f"WB-{station}", **changes)
    if "scaleGross" in changes:
        ticket["scaleNet"] = ticket["scaleGross"] - ticket["scaleTare"]
    status, body = await world.ask(f"station {station}", "POST", "/v1/tickets", json=ticket)
    assert status == 201, body
    return ticket


async def route_over(world: World, *expectations: dict[str, Any], **more: Any) -> str:
    """A route from a-1 to a-2 for every vehicle that begins with AA."""
    plan = {
        "vehicle": "aa*",
        "stops": [{"station_id": world.ids["a-1"]}, {"station_id": world.ids["a-2"]}],
        "expectations": list(expectations),
        **more,
    }
    return await add_route(world.database, world.vault, A, "one-to-two", **plan)


SAME = {"at": 2, "since": 1, "grams": 0, "tolerance_grams": 10}


async def test_a_route_is_over_all_stations_in_the_order_of_time(world: World) -> None:
    """Whatever the order of arrival; spellings are one vehicle, another vehicle is not in it."""
    await send(world, "a-2", 30, vehicle="aa 00 bb")
    await send(world, "a-1", 20, vehicle="AA-00-BB")
    await send(world, "a-1", 10, vehicle="AA.00.BB")
    await send(world, "a-2", 15, vehicle="AA-00-BC")
    status, body = await world.ask("user a", "GET", "/v1/vehicles/aa-00-bb/route")
    assert status == 200
    assert (body["vehicle"], body["normalised"], body["count"]) == ("aa-00-bb", "aa00bb", 3)
    tickets = [one["ticket"] for one in body["weighings"]]
    assert [one["ticketID"] for one in tickets] == ["a-1_1_10", "a-1_1_20", "a-2_1_30"]
    assert [one["station"] for one in tickets] == ["a-1", "a-1", "a-2"]
    assert body["next"] is None
    query = "/v1/vehicles/AA-00-BB/route?match=written"
    _, written = await world.ask("administrator a", "GET", query)
    assert [one["ticket"]["ticketID"] for one in written["weighings"]] == ["a-1_1_20"]


async def test_a_deviation_is_flagged_with_its_two_tickets(world: World) -> None:
    """The later weighing has it, with the route, the weights and both tickets in full."""
    route = await route_over(world, SAME)
    first = await send(world, "a-1", 1, scaleGross=15_000)
    last = await send(world, "a-2", 2, scaleGross=14_980, vehicle="aa 00 bb")
    _, body = await world.ask("user a", "GET", "/v1/vehicles/AA00BB/route")
    assert [len(one["deviations"]) for one in body["weighings"]] == [0, 1]
    (deviation,) = body["weighings"][1]["deviations"]
    tickets = deviation.pop("tickets")
    assert deviation == {
        "route_id": route,
        "route": "one-to-two",
        "kind": "weight",
        "stop": 2,
        "since_stop": 1,
        "weight": {
            "quantity": "gross",
            "expected": 15_000,
            "found": 14_980,
            "difference": -20,
            "tolerance": 10,
        },
    }
    for ticket, sent, station in zip(tickets, (first, last), ("a-1", "a-2"), strict=True):
        assert ticket == {**sent, "station": station, "blockNumber": ticket["blockNumber"]}


async def test_flags_do_not_follow_the_way_of_asking(world: World) -> None:
    """Times, spelling and pages change which weighings come, not their flags."""
    await route_over(world, SAME)
    await send(world, "a-1", 1, scaleGross=15_000)
    await send(world, "a-2", 2, scaleGross=14_000, vehicle="aa 00 bb")
    path = f"/v1/vehicles/{quote('aa 00 bb')}/route"
    for query in (
        "?timestampFrom=2020-11-12T06:00:02Z",
        "?match=written",
        "?flags=only",
        "?match=written&flags=only&timestampFrom=2020-11-12T06:00:02Z&limit=1",
    ):
        _, body = await world.ask("user a", "GET", path + query)
        (weighing,) = body["weighings"]
        assert weighing["ticket"]["ticketID"] == "a-2_1_2"
        assert len(weighing["deviations"]) == 1, query
    _, body = await world.ask("user a", "GET", path + "?flags=none")
    assert [one["deviations"] for one in body["weighings"]] == [[], []]


async def test_a_ticket_that_comes_late_changes_the_flags(world: World) -> None:
    """A stop seemed left out; once its station delivers, it was not."""
    await add_route(
        world.database,
        world.vault,
        A,
        "there-and-back",
        vehicle="*",
        stops=[{"station_id": world.ids[name]} for name in ("a-1", "a-2", "a-1")],
        expectations=[{"at": 3, "since": 2, "grams": 0, "tolerance_grams": 0}],
    )
    await send(world, "a-1", 1, scaleGross=15_000)
    await send(world, "a-1", 3, scaleGross=15_000)
    _, body = await world.ask("user a", "GET", "/v1/deviations")
    assert body == {"count": 0, "weighings": [], "next": None}
    await send(world, "a-2", 2, scaleGross=14_999)
    _, body = await world.ask("user a", "GET", "/v1/deviations")
    assert [one["ticket"]["ticketID"] for one in body["weighings"]] == ["a-1_1_3"]


async def test_deviations_of_all_vehicles(world: World) -> None:
    """One list over the fleet, page by page."""
    await route_over(world, SAME)
    for number, vehicle in enumerate(("AA-1", "AA-2", "BB-3"), start=1):
        await send(world, "a-1", number, scaleGross=15_000, vehicle=vehicle)
        await send(world, "a-2", 10 + number, scaleGross=16_000, vehicle=vehicle)
    seen, query = [], "?limit=1"
    while query:
        _, body = await world.ask("user a", "GET", "/v1/deviations" + query)
        seen += [one["ticket"]["vehicle"] for one in body["weighings"]]
        query = f"?limit=1&cursor={body['next']}" if body["next"] else ""
    assert seen == ["AA-1", "AA-2"]


async def test_another_customers_trucks_are_not_there(world: World) -> None:
    """Neither its weighings nor its routes: the same truck is weighed at both."""
    await route_over(world, SAME)
    await send(world, "a-1", 1, scaleGross=15_000)
    await send(world, "b-1", 2, scaleGross=9_000)
    _, body = await world.ask("user b", "GET", "/v1/vehicles/AA-00-BB/route")
    assert [one["ticket"]["station"] for one in body["weighings"]] == ["b-1"]
    _, body = await world.ask("user b", "GET", "/v1/deviations")
    assert body["weighings"] == []


@pytest.mark.parametrize("path", ["/v1/vehicles/AA-00-BB/route", "/v1/deviations"])
@pytest.mark.parametrize(
    ("who", "status"),
    [(None, 401), ("station a-1", 403), ("operator", 403), ("user a", 200)],
    ids=str,
)
async def test_only_customers_people_ask(
    world: World, path: str, who: str | None, status: int
) -> None:
    """Stations and the platform's operator may not."""
    assert (await world.ask(who, "GET", path))[0] == status


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/vehicles/%20a/route", "vehicle"),
        ("/v1/vehicles/" + "a" * 33 + "/route", "vehicle"),
        ("/v1/vehicles/a/route?match=almost", "match"),
        ("/v1/vehicles/a/route?flags=some", "flags"),
        ("/v1/vehicles/a/route?limit=501", "limit"),
        ("/v1/deviations?flags=none", "flags"),
        ("/v1/deviations?timestampFrom=yesterday", "timestampFrom"),
        (
            "/v1/deviations?timestampFrom=2026-01-02T00:00:00Z&timestampTo=2026-01-01T00:00:00Z",
            "(all fields together)",
        ),
    ],
)
async def test_bad_questions_are_refused_by_name(world: World, path: str, field: str) -> None:
    """One sentence with the name of what is wrong."""
    status, body = await world.ask("user a", "GET", path)
    assert status == 422
    assert [error["field"] for error in body["errors"]] == [field]


async def test_a_foreign_cursor_is_refused(world: World) -> None:
    """A cursor that this list did not give out."""
    status, body = await world.ask("user a", "GET", "/v1/deviations?cursor=abc")
    assert (status, body["type"]) == (422, "urn:steelyard:problem:bad-cursor")


async def test_a_vehicle_may_have_a_slash(world: World) -> None:
    """Any name that a ticket may have can be asked for."""
    for number, name in enumerate(("AB/12", "Ä?%&", "東京 300"), start=1):
        await send(world, "a-1", number, vehicle=name)
        path = f"/v1/vehicles/{quote(name, safe='')}/route"
        _, body = await world.ask("user a", "GET", path)
        assert [one["ticket"]["vehicle"] for one in body["weighings"]] == [name]


async def test_a_route_that_was_tampered_with_fails_the_question(world: World) -> None:
    """A route that somebody switched off in the database would hide what deviates."""
    route = await route_over(world, SAME)
    async with world.database.session() as session:
        await session.execute(update(Route).where(Route.id == route).values(name="x", name_key="x"))
    status, body = await world.ask("user a", "GET", "/v1/deviations")
    assert (status, body["type"]) == (500, "urn:steelyard:problem:vault-tampered")
