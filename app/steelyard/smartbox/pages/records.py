"""The alibi memory's read-only viewer, and what is done with refused tickets, on the status page.

`GET /alibi?from=1&limit=100` gives records as they stand there, each checked on the way.
`POST /refused/{ticketID}/requeue` sends a refused ticket again, `POST /refused/{ticketID}/dismiss`
({"reason": ...}) notes that it is settled otherwise.
"""

import asyncio
from collections.abc import Callable
from itertools import islice

from aiohttp import web

from steelyard.errors import InvalidRequest
from steelyard.smartbox.alibi.format import Record
from steelyard.smartbox.alibi.memory import read_from
from steelyard.smartbox.display.operator import read_body
from steelyard.smartbox.errors import NotRefused
from steelyard.smartbox.recorder import Recorder

MOST_RECORDS = 500
ROUTES = (
    ("GET", "/alibi", "Records of the alibi memory (`from`, `limit`), as JSON"),
    ("POST", "/refused/{ticket}/{action}", "Send a refused ticket again (requeue), or dismiss it"),
)


def add_record_routes(
    application: web.Application, recorder: Recorder, now: Callable[[], int]
) -> None:
    """Serve the alibi memory, and the actions on refused tickets, in an application.

    Problems are answered by its guard (display/guard.py).
    """
    storage = recorder.storage

    async def records(request: web.Request) -> web.Response:
        first = _number(request, "from", 1, None)
        limit = _number(request, "limit", 100, MOST_RECORDS)
        shown = await asyncio.to_thread(
            lambda: [
                found.as_json()
                for found in islice(read_from(storage.alibi.path, first), limit)
                if isinstance(found, Record)
            ]
        )
        return web.json_response({"last": storage.alibi.head.sequence, "records": shown})

    async def act(request: web.Request) -> web.Response:
        ticket, action = request.match_info["ticket"], request.match_info["action"]
        body = await read_body(request)
        allowed = {"requeue": set(), "dismiss": {"reason"}}.get(action)
        if allowed is None:
            raise InvalidRequest("the action must be requeue or dismiss")
        if set(body) - allowed:
            raise InvalidRequest(f"the body of {action} may have {', '.join(allowed) or 'nothing'}")
        if action == "requeue":
            done = await recorder.run(storage.outbox.requeue, [ticket])
        else:
            done = await recorder.run(_dismiss, recorder, ticket, now(), body.get("reason"))
        if not done:
            raise NotRefused(f"{ticket}: no refused ticket has this id")
        return web.json_response({"ticketID": ticket, "done": action})

    for (method, path, _), handler in zip(ROUTES, (records, act), strict=True):
        application.router.add_route(method, path, handler)


def _dismiss(recorder: Recorder, ticket: str, now: int, reason: object) -> int:
    try:
        return recorder.storage.outbox.dismiss(
            [ticket], now, reason if isinstance(reason, str) else ""
        )
    except ValueError as error:
        raise InvalidRequest(f"reason: {error}") from None


def _number(request: web.Request, name: str, default: int, most: int | None) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) >= 1):
        raise InvalidRequest(f"{name}: must be a number from 1")
    return int(text) if most is None else min(int(text), most)
