"""Schemathesis drives the tickets API from its own document, and finds no server error."""

import asyncio
from typing import Any

import pytest

from api_fuzzing import drive_all, load
from tickets_world import World, ticket_json

EXAMPLES = 15


@pytest.mark.slow
async def test_no_request_ends_in_a_server_error(world: World) -> None:
    """Good and bad requests to every operation are answered as the document says."""
    batch = {"tickets": [ticket_json(number, "WB-a-1") for number in range(1, 40)]}
    await world.ask("station a-1", "POST", "/v1/tickets/batch", json=batch)
    _, document = await world.ask(None, "GET", "/openapi.json")
    schema = load(document, str(world.client.make_url("")).rstrip("/"), False)

    def token_for(operation: Any) -> str:
        return world.tokens["station a-1" if operation.method == "post" else "user a"]

    def amend(case: Any) -> Any:
        """Ask for a ticket that is there; send one from a weighbridge that is the station's."""
        if "ticket_id" in (case.path_parameters or {}):
            case.path_parameters["ticket_id"] = "a-1_1_7"
        tickets = case.body.get("tickets", [case.body]) if isinstance(case.body, dict) else []
        for ticket in tickets:
            ticket["scaleSerialNumber"] = "WB-a-1"
            ticket["ticketID"] = "a-1_" + str(ticket["ticketID"])[:80]
        return case

    # The server runs in this loop; Schemathesis' blocking requests run in a thread.
    seen = await asyncio.to_thread(drive_all, schema, token_for, examples=EXAMPLES, amend=amend)
    assert len(seen) == 13
    succeeded = {name for name, statuses in seen.items() if statuses & {200, 201}}
    assert set(seen) - succeeded == set(), "every operation got beyond its checks"
    assert {name for name, statuses in seen.items() if 422 in statuses} >= {
        "POST /v1/tickets",
        "POST /v1/tickets/batch",
        "GET /v1/tickets",
        "GET /v1/ticket-count",
    }
