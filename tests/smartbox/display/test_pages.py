"""The pages of a ticket, for a browser and for a printer."""

import json
from collections.abc import Awaitable, Callable

from display_kit import Front, routes_of

from steelyard.smartbox.display.operator import ROUTES as OPERATOR_ROUTES
from steelyard.smartbox.display.views import ROUTES

Start = Callable[..., Awaitable[Front]]


async def test_a_registered_ticket_is_printed_with_its_code(front: Start) -> None:
    """Page, sheet, PDF, code and receipt."""
    one = await front(display_time_zone="Europe/Lisbon")
    ticket = await one.weigh(vehicle="<b>&\u4e2d")
    await one.register(ticket)
    here = f"/display/tickets/{ticket}"
    assert b"ticket.js" in (await one.get(here))[1]
    sheet = json.loads((await one.get(f"{here}/sheet?lang=pt"))[1])
    assert sheet["title"] == "Talão de pesagem"
    values = [line["value"] for line in sheet["lines"]]
    assert (values[0], values[2], values[5]) == (ticket, "<b>&\u4e2d", "30\u00a0000\u00a0kg")
    assert sheet["way"][1]["value"] == "0x" + "ab" * 32
    assert (sheet["code"], sheet["refused"]) == (True, False)
    assert (await one.get(f"{here}/ticket.pdf?lang=de"))[1].startswith(b"%PDF-")
    assert b"<svg" in (await one.get(f"{here}/code.svg"))[1]
    claim = json.loads((await one.get(f"{here}/receipt.json"))[1])
    assert (claim["ticketID"], claim["blockNumber"]) == (ticket, 7)
    assert claim["ticket"]["vehicle"] == "<b>&\u4e2d"


async def test_a_ticket_that_waits_is_printed_without_one(front: Start) -> None:
    """And says so; its code and its receipt are not there yet."""
    one = await front()
    here = f"/display/tickets/{await one.weigh()}"
    sheet = json.loads((await one.get(f"{here}/sheet"))[1])
    assert sheet["code"] is False
    assert sheet["about_code"].startswith("Not on the ledger yet")
    for path in ("code.svg", "receipt.json"):
        status, body = await one.get(f"{here}/{path}")
        assert (status, json.loads(body)["type"]) == (409, "urn:steelyard:problem:no-receipt-yet")


async def test_what_is_not_there_is_said_in_a_sentence(front: Start) -> None:
    """An id that was never given, a language that is not spoken, a page that is not here."""
    one = await front()
    for path, status, detail in (
        ("/display/tickets/x", 404, "no ticket x was emitted here"),
        ("/display/tickets/x/sheet?lang=fr", 422, "lang: must be one of en, pt, de"),
        ("/display/tickets/%00/sheet", 404, "no ticket \0 was emitted here"),
        ("/display/files/nothing.js", 404, "nothing.js is not here"),
        ("/elsewhere", 404, "/elsewhere is not here"),
    ):
        got, body = await one.get(path)
        assert (got, json.loads(body)["detail"]) == (status, detail)


async def test_the_routes_that_the_reference_tells_are_served(front: Start) -> None:
    """All of them, and no others."""
    one = await front()
    told = {(method, path) for method, path, _ in (*ROUTES, *OPERATOR_ROUTES)}
    assert routes_of(one.runner.app) == told
