"""What an operator does at a weighbridge, from the display or by `steelyard smartbox operate`.

`POST /weighbridges/{name}/{action}` with a JSON body: `zero`, `tare` ({"grams": ...} for a preset
one), `clear-tare`, `vehicle` ({"vehicle": ...}), `ticket`. The body must be JSON by its type, which
no page of another site can send unasked; who may send it at all is the guard's business
(display/guard.py). A body may say for which `load` it is meant, as the display showed it.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from structlog import get_logger

from steelyard.errors import InvalidRequest
from steelyard.json_text import read_json
from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.weighing.errors import CannotTare, CannotWeigh, CannotZero, NoTicketNow
from steelyard.smartbox.weighing.reason import Reason
from steelyard.smartbox.weighing.shown import show

log = get_logger(__name__)

ACTIONS = ("zero", "tare", "clear-tare", "vehicle", "ticket")
MAX_BODY_BYTES = 4096
OTHER_LOAD = Reason("other-load", "another load is on the bridge by now: look again")

# For docs/reference, as the display's routes.
ROUTES = (("POST", "/weighbridges/{name}/{action}", f"Do one of {', '.join(ACTIONS)}"),)


def add_operator_routes(
    application: web.Application, live: LiveStation, on_change: Callable[[], None]
) -> None:
    """Serve the actions of `live`; after each, `on_change` lets all displays know."""

    async def post(request: web.Request) -> web.Response:
        name, action = request.match_info["name"], request.match_info["action"]
        _act(live, name, action, await read_body(request))
        on_change()
        log.info("operator", weighbridge=name, action=action, remote=request.remote)
        return web.json_response(show(live.bridge(name)))

    application.router.add_post("/weighbridges/{name}/{action}", post)


async def read_body(request: web.Request) -> dict[str, Any]:
    """An action's JSON object. Raises InvalidRequest."""
    if request.content_type != "application/json":
        raise InvalidRequest("the body must be JSON: Content-Type: application/json")
    try:
        body = read_json(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise InvalidRequest(f"the body must be at most {MAX_BODY_BYTES} bytes") from None
    except ValueError:
        raise InvalidRequest("the body must be JSON") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    return body


def _act(live: LiveStation, name: str, action: str, body: dict[str, Any]) -> None:
    bridge = live.bridge(name)
    actions: dict[str, tuple[frozenset[str], Callable[[], None]]] = {
        "zero": (frozenset(), lambda: _zero(live, name)),
        "clear-tare": (frozenset(), bridge.tare.clear),
        "ticket": (frozenset(), lambda: _ticket(live, name)),
        "tare": (frozenset({"grams"}), lambda: _tare(live, name, body.get("grams"))),
        "vehicle": (frozenset({"vehicle"}), lambda: _vehicle(live, name, body.get("vehicle"))),
    }
    if action not in actions:
        raise InvalidRequest(f"the action must be one of {', '.join(ACTIONS)}")
    known, act = actions[action]
    if not set(body) <= known | {"load"}:
        allowed = ", ".join(sorted(known | {"load"}))
        raise InvalidRequest(f"the body of {action} may have: {allowed}")
    _check_load(body.get("load"), bridge.load)
    act()


def _check_load(meant: object, load: int) -> None:
    """Two displays, or a slow hand: what was meant for one truck never meets the next."""
    if meant is None:
        return
    if not isinstance(meant, int) or isinstance(meant, bool):
        raise InvalidRequest("load: must be an integer, or absent for whatever is there")
    if meant != load:
        raise CannotWeigh(OTHER_LOAD)


def _zero(live: LiveStation, name: str) -> None:
    _check_new(live, name, CannotZero)
    live.bridge(name).set_zero()


def _ticket(live: LiveStation, name: str) -> None:
    _check_new(live, name, NoTicketNow)
    bridge = live.bridge(name)
    bridge.cycle.ask(bridge.indication)


def _tare(live: LiveStation, name: str, grams: object) -> None:
    bridge = live.bridge(name)
    if grams is None:
        _check_new(live, name, CannotTare)
        bridge.weigh_tare()
    elif isinstance(grams, int) and not isinstance(grams, bool):
        bridge.tare.preset(grams)
    else:
        raise InvalidRequest("grams: must be an integer, or absent to take what is on the bridge")


def _check_new(live: LiveStation, name: str, problem: type[CannotWeigh]) -> None:
    old = live.old_weight(name)
    if old is not None:
        raise problem(old)


def _vehicle(live: LiveStation, name: str, vehicle: object) -> None:
    if vehicle is not None and not isinstance(vehicle, str):
        raise InvalidRequest("vehicle: must be a text, or absent for none")
    try:
        live.set_vehicle(name, vehicle)
    except ValueError as error:
        raise InvalidRequest(f"vehicle: {error}") from None
