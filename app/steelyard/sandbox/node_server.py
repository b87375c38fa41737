"""A node's HTTP endpoint: geth's transport rules around the JSON-RPC methods."""

import ipaddress
from collections.abc import Callable

from aiohttp import web

from steelyard.sandbox.jsonrpc import answer
from steelyard.sandbox.methods import NodeMethods

_CONTENT_TYPES = ("application/json", "application/json-rpc", "application/jsonrequest")
_REFUSED = {"X-Content-Type-Options": "nosniff"}


def node_handler(methods: NodeMethods) -> Callable[[web.BaseRequest, bytes], web.Response]:
    """What serves a node's requests."""

    def handle(request: web.BaseRequest, body: bytes) -> web.Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        return web.Response(body=answer(methods, body), content_type="application/json")

    return handle


def _refusal(request: web.BaseRequest) -> web.Response | None:
    if not host_allowed(request.host):
        return _refuse(403, "invalid host specified")
    if request.path != "/":
        return web.Response(status=404)
    if request.method == "GET" and not request.body_exists and not request.query_string:
        return web.Response()
    if request.method in ("PUT", "DELETE"):
        return _refuse(405, "method not allowed")
    if request.method != "OPTIONS" and request.content_type not in _CONTENT_TYPES:
        return _refuse(415, "invalid content type, only application/json is supported")
    return None


def _refuse(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=_REFUSED)


def host_allowed(host: str) -> bool:
    """Geth serves any address and `localhost`, but no foreign name (DNS rebinding)."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]")
    if not name or name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
