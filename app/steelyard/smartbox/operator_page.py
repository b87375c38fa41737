"""What an operator does at a weighbridge, over the status page's loopback port.

`POST /weighbridges/{name}/{action}` with a JSON body: `zero`, `tare` ({"grams": ...} for a preset
one), `clear-tare`, `vehicle` ({"vehicle": ...}), `ticket`. The body must be JSON by its type and
the host a loopback address, so that no web page that an operator visits can press a button.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from steelyard.errors import InvalidRequest, Problem
from steelyard.smartbox.live import LiveStation

ACTIONS = ("zero", "tare", "clear-tare", "vehicle", "ticket")
HOSTS = frozenset({"127.0.0.1", "localhost"})
MAX_BODY_BYTES = 4096


def add_operator_routes(application: web.Application, live: LiveStation) -> None:
    """Serve the actions of `live` in an application."""

    async def post(request: web.Request) -> web.Response:
        return await _answer(request, live)

    application.router.add_post("/weighbridges/{name}/{action}", post)


async def _answer(request: web.Request, live: LiveStation) -> web.Response:
    name, action = request.match_info["name"], request.match_info["action"]
    try:
        body = await read_body(request)
        _act(live, name, action, body)
    except Problem as problem:
        return web.json_response(
            problem.as_dict(), status=problem.status, content_type="application/problem+json"
        )
    return web.json_response(live.bridge(name).as_json())


async def read_body(request: web.Request) -> dict[str, Any]:
    """An action's JSON object, from this machine and from no web page. Raises InvalidRequest."""
    if (request.url.host or "") not in HOSTS:
        raise InvalidRequest("the host must be 127.0.0.1 or localhost")
    if request.content_type != "application/json":
        raise InvalidRequest("the body must be JSON: Content-Type: application/json")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise InvalidRequest(f"the body must be at most {MAX_BODY_BYTES} bytes")
    try:
        body = await request.json()
    except ValueError:
        raise InvalidRequest("the body must be JSON") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    return body


def _act(live: LiveStation, name: str, action: str, body: dict[str, Any]) -> None:
    bridge = live.bridge(name)
    actions: dict[str, tuple[frozenset[str], Callable[[], None]]] = {
        "zero": (frozenset(), bridge.set_zero),
        "clear-tare": (frozenset(), bridge.tare.clear),
        "ticket": (frozenset(), lambda: bridge.cycle.ask(bridge.indication)),
        "tare": (frozenset({"grams"}), lambda: _tare(live, name, body.get("grams"))),
        "vehicle": (frozenset({"vehicle"}), lambda: _vehicle(live, name, body.get("vehicle"))),
    }
    if action not in actions:
        raise InvalidRequest(f"the action must be one of {', '.join(ACTIONS)}")
    known, act = actions[action]
    if not set(body) <= known:
        allowed = ", ".join(sorted(known)) or "no member"
        raise InvalidRequest(f"the body of {action} may have {allowed}")
    act()


def _tare(live: LiveStation, name: str, grams: object) -> None:
    bridge = live.bridge(name)
    if grams is None:
        bridge.weigh_tare()
    elif isinstance(grams, int) and not isinstance(grams, bool):
        bridge.tare.preset(grams)
    else:
        raise InvalidRequest("grams: must be an integer, or absent to take what is on the bridge")


def _vehicle(live: LiveStation, name: str, vehicle: object) -> None:
    if vehicle is not None and not isinstance(vehicle, str):
        raise InvalidRequest("vehicle: must be a text, or absent for none")
    try:
        live.set_vehicle(name, vehicle)
    except ValueError as error:
        raise InvalidRequest(f"vehicle: {error}") from None
