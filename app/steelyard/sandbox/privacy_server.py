"""A privacy manager's third-party API, as Tessera serves it."""

import base64
from collections.abc import Callable
from typing import Any

from aiohttp import web

from steelyard.json_text import read_json
from steelyard.sandbox.documents import write_json
from steelyard.sandbox.errors import TesseraError
from steelyard.sandbox.privacy import PrivacyManager, PrivacyNetwork

BODY_LIMIT = 64 * 1024 * 1024  # Tessera has none; 1 MiB and more was measured to pass
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
        page = pages.get(request.path)
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
    if not isinstance(document, dict):
        raise TesseraError(400, "HTTP 400 Bad Request")
    encoded, sender = document.get("payload"), document.get("from")
    if encoded is None:
        raise TesseraError(400, f"may not be null (path = {_STORE_PATH}, invalidValue = null)")
    if not isinstance(encoded, str) or not isinstance(sender, str | None):
        raise TesseraError(400, "HTTP 400 Bad Request")
    if sender is not None:
        _decode(sender, "Last unit does not have enough valid bits")
    payload = _payload(encoded)
    if not payload:
        raise TesseraError(
            400,
            f"size must be between 1 and 2147483647 (path = {_STORE_PATH}, invalidValue = [])",
        )
    return payload, sender


def _payload(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""  # what Tessera's reader makes of it


def _decode(text: str, message: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise TesseraError(500, message) from None


def _text(status: int, text: str) -> web.Response:
    response = web.Response(status=status, body=text.encode())
    response.headers["Content-Type"] = "text/plain"
    return response


def _json(document: Any) -> web.Response:
    return web.Response(body=write_json(document), content_type="application/json")
