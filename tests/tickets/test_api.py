"""The tickets API: stations register, users query, and nobody sees what is not theirs."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import select, text, update

from steelyard.ledger.errors import LedgerBusy, NodeUnavailable
from steelyard.store.models import AuditRecord, Station, StationStatus, delete_softly
from tickets_world import World, ticket_json


async def register(world: World, station: str, numbers: range, **changes: Any) -> None:
    tickets = [ticket_json(number, f"WB-{station}", **changes) for number in numbers]
    for start in range(0, len(tickets), 100):
        batch = tickets[start : start + 100]
        status, body = await world.ask(
            f"station {station}", "POST", "/v1/tickets/batch", json={"tickets": batch}
        )
        assert status == 200
        assert [result["status"] for result in body["results"]] == ["registered"] * len(batch)


async def test_a_registered_ticket_comes_back_field_by_field(world: World) -> None:
    """What the station sent is what the customer reads, with the station and its block."""
    status, receipt = await world.ask("station a-1", "POST", "/v1/tickets", json=ticket_json())
    assert status == 201
    assert receipt["ticketID"] == "a-1_1_1"
    status, ticket = await world.ask("user a", "GET", "/v1/tickets/a-1_1_1")
    assert status == 200
    assert ticket == {
        **ticket_json(),
        "station": "a-1",
        "blockNumber": receipt["blockNumber"],
    }


async def test_the_same_ticket_again_gives_the_first_receipt(world: World) -> None:
    """A repeat is told 200 and the receipt; another ticket under the id is told 409."""
    _, first = await world.ask("station a-1", "POST", "/v1/tickets", json=ticket_json())
    status, second = await world.ask("station a-1", "POST", "/v1/tickets", json=ticket_json())
    assert (status, second) == (200, first)
    other = ticket_json(vehicle="ZZ-99-ZZ")
    status, problem = await world.ask("station a-1", "POST", "/v1/tickets", json=other)
    assert (status, problem["type"]) == (409, "urn:steelyard:problem:ticket-conflict")


async def test_a_batch_s_alibi_head_goes_to_the_ledger(world: World) -> None:
    """As the station sent it; without one there is none; another form is refused by its name."""
    head = {"sequence": 4711, "hash": "5e" * 32}
    batch = {"tickets": [ticket_json(1)], "alibiHead": head}
    status, _ = await world.ask("station a-1", "POST", "/v1/tickets/batch", json=batch)
    assert status == 200
    await register(world, "a-1", range(2, 3))
    sent = [one and one.model_dump() for one in world.ledger.alibi_heads]
    assert sent == [head, None]
    for bad in ({"sequence": 0, "hash": "5e" * 32}, {"sequence": 1, "hash": "5E" * 32}):
        batch = {"tickets": [ticket_json(3)], "alibiHead": bad}
        status, problem = await world.ask("station a-1", "POST", "/v1/tickets/batch", json=batch)
        assert status in (400, 422)
        assert problem["errors"][0]["field"].startswith("alibiHead")
    assert len(world.ledger.alibi_heads) == 2


async def test_a_batch_has_a_result_for_each_ticket(world: World) -> None:
    """One refused ticket keeps no other from being registered."""
    await register(world, "a-1", range(1, 2))
    batch = [
        ticket_json(1),
        ticket_json(2),
        ticket_json(1, vehicle=None),
        ticket_json(3, scale="WB-b-1"),
        ticket_json(4, scale="WB-b-1", ticketID="a-1_1_4"),
    ]
    status, body = await world.ask(
        "station a-1", "POST", "/v1/tickets/batch", json={"tickets": batch}
    )
    assert status == 200
    results = body["results"]
    assert [result["status"] for result in results] == [
        "already-registered",
        "registered",
        "refused",
        "refused",
        "refused",
    ]
    assert results[2]["problem"]["status"] == 409
    assert results[3]["problem"]["type"] == "urn:steelyard:problem:foreign-ticket-id"
    assert results[4]["problem"]["type"] == "urn:steelyard:problem:foreign-weighbridge"
    assert results[1]["transactionHash"].startswith("0x")


async def test_a_sister_station_cannot_pass_for_another(world: World) -> None:
    """An id begins with its station's name: no station's ticket can shadow a sister's."""
    theirs = ticket_json(1, "WB-a-2")
    status, _ = await world.ask("station a-2", "POST", "/v1/tickets", json=theirs)
    assert status == 201
    forged = {**ticket_json(7), "ticketID": theirs["ticketID"]}
    status, problem = await world.ask("station a-1", "POST", "/v1/tickets", json=forged)
    assert (status, problem["type"]) == (422, "urn:steelyard:problem:foreign-ticket-id")
    _, ticket = await world.ask("user a", "GET", f"/v1/tickets/{theirs['ticketID']}")
    assert ticket["scaleGross"] == theirs["scaleGross"]


REGISTER = ("POST", "/v1/tickets", {"json": ticket_json()})
BATCH = ("POST", "/v1/tickets/batch", {"json": {"tickets": [ticket_json()]}})
READS = [
    ("GET", "/v1/tickets", {}),
    ("GET", "/v1/ticket-count", {}),
    ("GET", "/v1/tickets/a-1_1_1", {}),
    ("GET", "/v1/tickets/a-1_1_1/proof", {}),
]


@pytest.mark.parametrize("request_line", [REGISTER, BATCH, *READS], ids=lambda line: line[1])
@pytest.mark.parametrize(
    "who", [None, "station a-1", "user a", "administrator a", "operator"], ids=str
)
async def test_only_stations_register_and_only_users_query(
    world: World, request_line: tuple[str, str, dict[str, Any]], who: str | None
) -> None:
    """Each role on each route; the platform's operator can neither write nor read tickets."""
    method, path, arguments = request_line
    status, _ = await world.ask(who, method, path, **arguments)
    writes = method == "POST"
    if who is None:
        assert status == 401
    elif who.startswith("station"):
        assert status in {200, 201} if writes else status == 403
    elif who == "operator" or writes:
        assert status == 403
    else:
        assert status in {200, 404}


async def test_filters_combine(world: World) -> None:
    """Every attribute filters, alone and together; the station does as well."""
    await register(world, "a-1", range(1, 11))
    await register(world, "a-2", range(11, 16), scaleStatus="overload", vehicle="CC-11-DD")
    for query, expected in [
        ("", 15),
        ("station=a-2", 5),
        ("station=b-1", 0),
        ("scaleSerialNumber=WB-a-1", 10),
        ("scaleStatus=overload&scaleGrossFrom=10014", 2),
        ("vehicle=CC-11-DD&timestampTo=2020-11-12T06:00:12Z", 2),
        ("cellSerialNumber=LC2&cellWeightFrom=6", 0),
        ("cellSerialNumber=LC2&cellWeightTo=5", 15),
        ("ticketID=a-1_1_3", 1),
        ("terminalSerialNumber=T2", 0),
        ("terminalRestartValueFrom=1&terminalRestartValueTo=1", 15),
        ("scaleTareFrom=1001", 0),
        ("scaleNetTo=9001", 1),
    ]:
        status, page = await world.ask("user a", "GET", f"/v1/tickets?{query}")
        assert (status, page["count"]) == (200, expected), query
        _, counted = await world.ask("user a", "GET", f"/v1/ticket-count?{query}")
        assert counted == {"count": expected}, query


async def test_pages_follow_each_other(world: World) -> None:
    """Pages by cursor give every ticket once, in the order of time, in both orders."""
    await register(world, "a-1", range(1, 20, 2))
    await register(world, "a-2", range(2, 20, 2))
    for order in ("oldest", "newest"):
        seen: list[str] = []
        cursor = ""
        while True:
            path = f"/v1/tickets?limit=4&order={order}{cursor}"
            _, page = await world.ask("user a", "GET", path)
            assert page["count"] == len(page["tickets"]) <= 4
            seen += [ticket["ticketID"] for ticket in page["tickets"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        expected = [f"a-{2 - number % 2}_1_{number}" for number in range(1, 20)]
        assert seen == (expected if order == "oldest" else expected[::-1])


async def test_a_page_can_be_grouped(world: World) -> None:
    """Grouping gives each value once with its tickets; a cell's group has each of its tickets."""
    await register(world, "a-1", range(1, 4))
    await register(world, "a-2", range(4, 6))
    _, page = await world.ask("user a", "GET", "/v1/tickets?group_by=scaleSerialNumber")
    assert page["count"] == 5
    assert [(group["value"], group["count"]) for group in page["groups"]] == [
        ("WB-a-1", 3),
        ("WB-a-2", 2),
    ]
    _, page = await world.ask("user a", "GET", "/v1/tickets?group_by=cellSerialNumber")
    assert {group["value"]: group["count"] for group in page["groups"]} == {"LC1": 5, "LC2": 5}


@pytest.mark.parametrize(
    "by",
    [
        "ticketID",
        "terminalSerialNumber",
        "terminalRestartValue",
        "timestamp",
        "day",
        "scaleSerialNumber",
        "scaleStatus",
        "scaleGross",
        "scaleTare",
        "scaleNet",
        "vehicle",
        "cellSerialNumber",
        "cellWeight",
        "station",
    ],
)
async def test_every_attribute_groups(world: World, by: str) -> None:
    """Whatever the attribute, no ticket is lost in the groups."""
    await register(world, "a-1", range(1, 4))
    status, page = await world.ask("user a", "GET", f"/v1/tickets?group_by={by}")
    assert status == 200
    grouped = {ticket["ticketID"] for group in page["groups"] for ticket in group["tickets"]}
    assert grouped == {"a-1_1_1", "a-1_1_2", "a-1_1_3"}


async def test_ndjson_and_csv_hold_every_ticket(world: World) -> None:
    """Both exports have all tickets and all cells, also where there are more than columns."""
    many = [{"cellSerialNumber": f"LC{n}", "cellWeight": n} for n in range(1, 12)]
    await register(world, "a-1", range(1, 251))
    await register(world, "a-2", range(251, 252), cells=many, vehicle="=1+1")
    status, body = await world.ask("user a", "GET", "/v1/tickets?format=ndjson")
    lines = [json.loads(line) for line in body.splitlines()]
    assert (status, len(lines)) == (200, 251)
    assert lines[250]["cells"] == many
    status, body = await world.ask("user a", "GET", "/v1/tickets?format=csv&order=newest")
    rows = list(csv.DictReader(io.StringIO(body)))
    assert len(rows) == 251
    assert rows[0]["vehicle"] == "'=1+1", "a spreadsheet must not run it"
    assert json.loads(rows[0]["more_cells"]) == many[8:]
    assert rows[0]["cell_8_weight"] == "8"
    assert (rows[1]["ticketID"], rows[1]["scaleGross"]) == ("a-1_1_250", "10250")


async def test_an_empty_export_is_empty(world: World) -> None:
    """No ticket: no line, and for CSV the header alone."""
    assert await world.ask("user b", "GET", "/v1/tickets?format=ndjson") == (200, "")
    _, body = await world.ask("user b", "GET", "/v1/tickets?format=csv")
    assert body.startswith("station,ticketID")
    assert body.count("\n") == 1


async def test_anothers_weighbridge_answers_like_none(world: World) -> None:
    """What belongs to another customer and what never was give the same status and body."""
    await register(world, "a-1", range(1, 4))
    for foreign, unknown in [
        ("/v1/tickets?scaleSerialNumber=WB-a-1", "/v1/tickets?scaleSerialNumber=WB-none"),
        ("/v1/tickets?station=a-1", "/v1/tickets?station=none"),
        ("/v1/ticket-count?ticketID=a-1_1_1", "/v1/ticket-count?ticketID=a-1_1_none"),
        ("/v1/tickets/a-1_1_1", "/v1/tickets/a-1_1_none"),
        ("/v1/tickets/a-1_1_1/proof", "/v1/tickets/a-1_1_none/proof"),
    ]:
        assert await world.ask("user b", "GET", foreign) == await world.ask(
            "user b", "GET", unknown
        )


async def test_a_proof_names_contract_and_transaction(world: World) -> None:
    """The proof has what an independent verification needs."""
    _, receipt = await world.ask("station a-1", "POST", "/v1/tickets", json=ticket_json())
    status, proof = await world.ask("user a", "GET", "/v1/tickets/a-1_1_1/proof")
    assert status == 200
    assert proof["transactionHash"] == receipt["transactionHash"]
    assert proof["contractAddress"] in world.ledger.contracts
    assert proof["ticket"] == ticket_json()
    assert proof["holds"] is True
    assert proof["checks"]


async def test_a_deleted_stations_tickets_stay_readable(world: World) -> None:
    """A deleted station's token is refused; its customer still reads what it registered."""
    await register(world, "a-1", range(1, 4))
    async with world.database.session() as session:
        delete_softly(await session.get_one(Station, world.ids["a-1"]))
    status, _ = await world.ask("station a-1", "POST", "/v1/tickets", json=ticket_json(9))
    assert status == 401
    _, page = await world.ask("user a", "GET", "/v1/tickets")
    assert page["count"] == 3


async def test_a_station_that_is_not_active_may_not_register(world: World) -> None:
    """A disabled station's token no longer works."""
    async with world.database.session() as session:
        station = await session.get_one(Station, world.ids["a-1"])
        station.status = StationStatus.DISABLED
    status, _ = await world.ask("station a-1", "POST", "/v1/tickets", json=ticket_json(9))
    assert status == 401


async def test_a_tampered_vault_value_is_caught_and_audited(world: World) -> None:
    """A contract address that someone changed gives an error and an audit line, no tickets."""
    await register(world, "a-1", range(1, 4))
    async with world.database.session() as session:
        station = await session.get_one(Station, world.ids["a-1"])
        assert station.contract_address is not None
        broken = bytearray(station.contract_address)
        broken[-1] ^= 1
        await session.execute(
            update(Station).where(Station.id == station.id).values(contract_address=bytes(broken))
        )
    status, problem = await world.ask("user a", "GET", "/v1/tickets")
    assert status == 500
    assert "tickets" not in problem
    async with world.database.session(read_only=True) as session:
        lines = (await session.scalars(select(AuditRecord))).all()
    assert [line.outcome for line in lines if line.action == "vault.open"] == ["tampered"]


def _unbound(statement: str) -> list[str]:
    """A statement as somebody runs it who does not care for foreign keys."""
    return ["PRAGMA foreign_keys = OFF", *statement.split("; ")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE nodes SET tessera_key = 'mine' WHERE name = 'admin-a'",
        "UPDATE nodes SET role = 'network' WHERE name = 'admin-a'",
        "UPDATE nodes SET customer_id = NULL WHERE name = 'admin-a'",
        "DELETE FROM nodes WHERE name = 'admin-a'",
        (
            "UPDATE nodes SET customer_id = NULL WHERE name = 'admin-a'; "
            "UPDATE nodes SET customer_id = '{a}' WHERE name = 'admin-b'"
        ),
        "UPDATE stations SET status = 'disabled', contract_address = NULL WHERE id = '{a-1}'",
        "UPDATE stations SET status = 'pending', contract_address = NULL WHERE id = '{a-1}'",
        "UPDATE stations SET status = 'pending' WHERE id = '{a-1}'",
        "UPDATE stations SET customer_id = '{b}' WHERE id = '{a-1}'",
        "UPDATE stations SET name = 'a-3' WHERE id = '{a-1}'",
        "DELETE FROM stations WHERE id = '{a-1}'",
        "UPDATE customers SET roster = x'00' WHERE id = '{a}'",
        (
            "UPDATE customers SET roster = (SELECT roster FROM customers WHERE id = '{b}') "
            "WHERE id = '{a}'"
        ),
    ],
)
async def test_no_ticket_goes_missing_unseen(world: World, statement: str) -> None:
    """Whatever row is changed or removed, a customer gets an error and not fewer tickets."""
    await register(world, "a-1", range(1, 4))
    names = {**world.ids, "a": f"{'a':0>26}", "b": f"{'b':0>26}"}
    for name, identifier in names.items():
        statement = statement.replace(f"{{{name}}}", identifier)
    connection = sqlite3.connect(world.database.settings.engine_url().database)
    with closing(connection), connection:
        for one in _unbound(statement):
            connection.execute(one)
    for path in ("/v1/tickets", "/v1/ticket-count", "/v1/tickets?format=csv"):
        status, problem = await world.ask("user a", "GET", path)
        assert (status, problem["type"]) == (500, "urn:steelyard:problem:vault-tampered"), path
    async with world.database.session(read_only=True) as session:
        lines = (await session.scalars(select(AuditRecord))).all()
    assert {line.outcome for line in lines if line.action == "vault.open"} == {"tampered"}


@pytest.mark.parametrize("moved", ["stations", "nodes and stations"])
async def test_a_station_that_was_moved_shows_its_tickets_to_nobody(
    world: World, moved: str
) -> None:
    """The customer that it was given to gets an error as well, and the station cannot register."""
    await register(world, "a-1", range(1, 4))
    connection = sqlite3.connect(world.database.settings.engine_url().database)
    with closing(connection), connection:
        for table in ("stations", "nodes") if "nodes" in moved else ("stations",):
            key = world.ids["a-1"] if table == "stations" else f"{'node-a-1':0>26}"
            connection.execute(
                f"UPDATE {table} SET customer_id = ? WHERE id = ?",  # noqa: S608 - fixed names
                (f"{'b':0>26}", key),
            )
    status, problem = await world.ask("user b", "GET", "/v1/tickets")
    assert (status, "tickets" in problem) == (500, False)
    async with world.database.session() as session:
        await session.execute(text("UPDATE stations SET name = 'a-9' WHERE name = 'a-2'"))
    status, _ = await world.ask("station a-2", "POST", "/v1/tickets", json=ticket_json(9))
    assert status == 500


async def test_a_ledger_that_does_not_answer_is_said(world: World) -> None:
    """A query at a node that is away gives 503, and so does an export before its first line."""
    for path in ("/v1/tickets", "/v1/tickets?format=csv", "/v1/tickets/a-1_1_1"):
        world.ledger.failures.append(NodeUnavailable("admin-a does not answer"))
        status, problem = await world.ask("user a", "GET", path)
        assert (status, problem["type"]) == (503, "urn:steelyard:problem:node-unavailable"), path


async def test_a_crowded_ledger_sends_stations_away_for_a_while(world: World) -> None:
    """Back-pressure reaches the station: 503 with the time to wait, and nothing is registered."""
    busy = LedgerBusy("5000 tickets wait", headers={"Retry-After": "1"})
    world.ledger.failures.append(busy)
    answer = await world.client.post(
        "/v1/tickets/batch",
        json={"tickets": [ticket_json(1, "WB-a-1")]},
        headers={"Authorization": f"Bearer {world.tokens['station a-1']}"},
    )
    problem = await answer.json()
    assert (answer.status, problem["type"]) == (503, "urn:steelyard:problem:ledger-busy")
    assert answer.headers["Retry-After"] == "1"
    await register(world, "a-1", range(1, 2))


async def test_metrics_tell_what_is_on_its_way(world: World) -> None:
    """Tickets that wait, and transactions that are in no block yet."""
    metrics = await (await world.client.get("/metrics")).text()
    assert "steelyard_ledger_tickets_waiting 0.0" in metrics
    assert "steelyard_ledger_transactions_under_way 0.0" in metrics


async def test_an_export_that_breaks_is_cut_off(world: World) -> None:
    """A client must notice that an export is not complete."""
    await register(world, "a-1", range(1, 301))
    page, calls = world.ledger.page, 0

    async def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise NodeUnavailable
        return await page(*arguments, **options)

    world.ledger.page = failing  # type: ignore[method-assign]
    with pytest.raises(Exception, match=r"(?i)payload|disconnected|reset"):
        await world.ask("user a", "GET", "/v1/tickets?format=ndjson&station=a-1")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=01", "limit"),
        ("limit=1e2", "limit"),
        ("scaleGrossFrom=NaN", "scaleGrossFrom"),
        ("scaleGrossFrom=99999999999999999999", "scaleGrossFrom"),
        ("timestampFrom=yesterday", "timestampFrom"),
        ("timestampFrom=2020-11-12T06:00:00", "timestampFrom"),
        ("vehicle=", "vehicle"),
        ("scaleStatus=OK", "scaleStatus"),
        ("ticketID=a/b", "ticketID"),
        ("order=up", "order"),
        ("group_by=color", "group_by"),
        ("format=xml", "format"),
        ("nonsense=1", "nonsense"),
        ("limit=1&limit=2", "limit"),
        ("cellWeightFrom=1.5", "cellWeightFrom"),
    ],
)
async def test_a_bad_query_names_the_parameter(world: World, query: str, field: str) -> None:
    """Every wrong parameter is a 4xx that names it and says what is allowed."""
    status, problem = await world.ask("user a", "GET", f"/v1/tickets?{query}")
    assert 400 <= status < 500
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["message"]


async def test_a_bad_cursor_is_refused(world: World) -> None:
    """A cursor that is not ours is a 422, not an empty page."""
    status, problem = await world.ask("user a", "GET", "/v1/tickets?cursor=abc")
    assert (status, problem["type"]) == (422, "urn:steelyard:problem:bad-cursor")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scaleGross": "10"}, "scaleGross"),
        ({"scaleGross": 10.0}, "scaleGross"),
        ({"scaleNet": 1}, "(all fields together)"),
        ({"cells": []}, "cells"),
        ({"cells": [{"cellSerialNumber": "L", "cellWeight": 1.5}]}, "cells.0.cellWeight"),
        ({"color": "red"}, "color"),
        ({"ticketID": "x" * 97}, "ticketID"),
        ({"timestamp": None}, "timestamp"),
    ],
)
async def test_a_bad_ticket_names_the_field(
    world: World, changes: dict[str, Any], field: str
) -> None:
    """Nothing of a bad ticket is stored, alone or in a batch, and the field is named."""
    bad = ticket_json(1, **changes)
    status, problem = await world.ask("station a-1", "POST", "/v1/tickets", json=bad)
    assert status == 422
    assert field in {error["field"] for error in problem["errors"]}
    batch = {"tickets": [ticket_json(2), bad]}
    status, problem = await world.ask("station a-1", "POST", "/v1/tickets/batch", json=batch)
    assert status == 422
    _, counted = await world.ask("user a", "GET", "/v1/ticket-count")
    assert counted == {"count": 0}


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"ticketID": NaN}', 400),
        (b'{"ticketID": "\xff"}', 400),
        (b'{"ticketID": "a"', 400),
        (b"[]", 400),
        (b'{"ticketID":"a","ticketID":"b"}', 400),
        (b'{"scaleGross":' + b"9" * 5000 + b"}", 400),
        (b'{"tickets":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        (b"x" * 300_000, 413),
    ],
    ids=["nan", "utf-8", "cut-off", "array", "twice", "huge-number", "deep", "too-large"],
)
async def test_a_body_that_is_no_json_is_refused(world: World, raw: bytes, status: int) -> None:
    """Whatever cannot be read is a 4xx problem."""
    headers = {
        "Authorization": f"Bearer {world.tokens['station a-1']}",
        "Content-Type": "application/json",
    }
    async with world.client.post("/v1/tickets", data=raw, headers=headers) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"


async def test_readiness_tells_of_a_database_without_tables(world: World) -> None:
    """Where the tables are not those of this version, the API says that it cannot work."""
    status, _ = await world.ask(None, "GET", "/readyz")
    assert status == 200
    async with world.database.engine.begin() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
    status, problem = await world.ask(None, "GET", "/readyz")
    assert (status, problem["detail"]) == (503, "Failing: schema.")


@pytest.mark.parametrize("vehicle", ["=1+1", "+1", "-1", "@A1", "\uff1d1+1", "x;=1+1"])
async def test_no_text_becomes_a_formula(world: World, vehicle: str) -> None:
    """What a spreadsheet would run has an apostrophe before it; JSON has it as it is."""
    await register(world, "a-1", range(1, 2), vehicle=vehicle)
    _, body = await world.ask("user a", "GET", "/v1/tickets?format=csv")
    assert next(csv.DictReader(io.StringIO(body)))["vehicle"] == f"'{vehicle}"
    _, ticket = await world.ask("user a", "GET", "/v1/tickets/a-1_1_1")
    assert ticket["vehicle"] == vehicle
