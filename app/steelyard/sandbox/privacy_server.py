"""A privacy manager's third-party API, as Tessera serves it."""

import base64
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from steelyard.json_text import read_json
from steelyard.sandbox.documents import write_json
from steelyard.sandbox.errors import TesseraError
from steelyard.sandbox.javabase64 import decode_leniently
from steelyard.sandbox.privacy import PrivacyManager, PrivacyNetwork

# Tessera has no limit of its own: its heap ends it. With the 256 MB that `steelyard network` gives
# it, bodies of 11 MB were always taken and bodies of 28 MB never.
BODY_LIMIT = 16 * 1024 * 1024
_VERSION = "20.10.1-sandbox"
_STORE_PATH = "RawTransactionResource.store.arg0.payload"


def privacy_handler(
    network: PrivacyNetwork, manager: PrivacyManager
) -> Callable[[web.BaseRequest, bytes], web.Response]:
    """What serves a manager's requests."""

    def store(request: web.BaseRequest, body: bytes) -> web.Response:
        if request.method != "POST":
            return _text(500, "HTTP 405 Method Not Allowed")
        if request.content_type != "application/json":
            return _text(500, "HTTP 415 Unsupported Media Type")
        try:
            payload, sender = _read_store_request(body)
            digest = network.store_raw(manager, payload, sender)
        except TesseraError as error:
            return _text(error.status, error.message)
        return _json({"key": base64.b64encode(digest).decode()})

    def keys(of: list[PrivacyManager]) -> web.Response:
        return _json({"keys": [{"key": each.public_key} for each in of]})

    pages: dict[str, Callable[[], web.Response]] = {
        "/": web.Response,
        "/upcheck": lambda: _text(200, "I'm up!"),
        "/version": lambda: _text(200, _VERSION),
        "/version/distribution": lambda: _text(200, _VERSION),
        "/version/api": lambda: _json(["1.0", "2.0"]),
        "/keys": lambda: keys([manager]),
        # Tessera forgets the keys of a peer that does not answer.
        "/partyinfo/keys": lambda: keys([each for each in network.managers if each.up]),
    }

    def handle(request: web.BaseRequest, body: bytes) -> web.Response:
        if request.path == "/storeraw":
            return store(request, body)
        page = pages.get(request.path.rstrip("/") or "/")
        if page is None:
            return _text(404, "HTTP 404 Not Found")
        if request.method not in ("GET", "HEAD"):
            return _text(500, "HTTP 405 Method Not Allowed")
        return page()

    return handle


def _read_store_request(body: bytes) -> tuple[bytes, str | None]:
    try:
        document = read_json(body)
    except ValueError:
        raise TesseraError(400, "HTTP 400 Bad Request") from None
    if document == []:
        document = {}
    if not isinstance(document, dict):
        raise TesseraError(400, "HTTP 400 Bad Request")
    sender, payload = _decode(document.get("from")), _decode(document.get("payload"))
    if payload is None:
        raise TesseraError(400, f"may not be null (path = {_STORE_PATH}, invalidValue = null)\n")
    if not payload:
        raise TesseraError(
            400,
            f"size must be between 1 and 2147483647 (path = {_STORE_PATH}, invalidValue = [])\n",
        )
    return payload, None if sender is None else base64.b64encode(sender).decode()


def _decode(value: Any) -> bytes | None:
    """A member's bytes: numbers and truths are read as their text, of a list the first member."""
    if isinstance(value, list):
        value = next(iter(value), None)
    if value is None:
        return None
    if isinstance(value, dict):
        raise TesseraError(400, "HTTP 400 Bad Request")
    try:
        return decode_leniently(value if isinstance(value, str) else json.dumps(value))
    except ValueError as error:
        raise TesseraError(500, str(error)) from None


def out_of_heap(_: int) -> web.Response:
    """What Tessera answers when a body does not fit into its heap."""
    return _text(500, "Java heap space")


def _text(status: int, text: str) -> web.Response:
    response = web.Response(status=status, body=text.encode())
    response.headers["Content-Type"] = "text/plain"
    return response


def _json(document: Any) -> web.Response:
    return web.Response(body=write_json(document), content_type="application/json")
