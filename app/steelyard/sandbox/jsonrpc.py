"""JSON-RPC over HTTP: one request or a batch, as geth's server answers them."""

from typing import Any

from structlog import get_logger

from steelyard.json_text import read_json
from steelyard.sandbox.documents import write_json
from steelyard.sandbox.errors import Ended, RpcError, invalid_params, server_error
from steelyard.sandbox.methods import NodeMethods

logger = get_logger(__name__)


def answer(methods: NodeMethods, body: bytes) -> bytes:
    """The body of the answer, empty when there is nothing to say (notifications)."""
    if not body.strip():
        return b""
    try:
        request = read_json(body)
    except ValueError:
        return _encode(_failure(None, RpcError(-32700, "parse error")))
    if not isinstance(request, list):
        reply = _answer_one(methods, request)
        return b"" if reply is None else _encode(reply)
    if not request:
        return _encode(_failure(None, RpcError(-32600, "empty batch")))
    replies = [_answer_one(methods, each) for each in request]
    present = [reply for reply in replies if reply is not None]
    return _encode(present) if present else b""


def called_methods(body: bytes) -> list[str]:
    """The names of the methods that a body calls; empty for what is no request."""
    try:
        request = read_json(body)
    except ValueError:
        return []
    calls = request if isinstance(request, list) else [request]
    return [str(call.get("method")) for call in calls if isinstance(call, dict)]


def _encode(reply: Any) -> bytes:
    return write_json(reply) + b"\n"


def _failure(identifier: Any, error: RpcError) -> dict[str, Any]:
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return {"jsonrpc": "2.0", "id": identifier, "error": body}


def _answer_one(methods: NodeMethods, request: Any) -> dict[str, Any] | None:
    wrong = RpcError(-32600, "invalid request")
    if not isinstance(request, dict) or isinstance(request.get("id"), dict | list):
        return _failure(None, wrong)
    identifier = request.get("id")
    if not isinstance(request.get("method"), str) or not request["method"]:
        # What looks like an answer is one to a request that was never made.
        is_answer = "params" not in request and ("result" in request or "error" in request)
        return None if is_answer and "id" in request else _failure(identifier, wrong)
    try:
        result = _call(methods, request["method"], request.get("params"))
    except RpcError as error:
        reply = _failure(identifier, error)
    except Ended:
        raise
    except Exception as error:  # noqa: BLE001 - geth survives a crash in a method, in these words
        crash = repr(error)
        logger.error("method handler crashed", method=request["method"], error=crash)  # noqa: TRY400 - a line, no traceback
        reply = _failure(identifier, server_error("method handler crashed"))
    else:
        reply = {"jsonrpc": "2.0", "id": identifier, "result": result}
    # A notification is carried out as well; it only gets no answer.
    return reply if "id" in request else None


def _call(methods: NodeMethods, name: str, params: Any) -> Any:
    method = methods.table.get(name)
    if method is None:
        raise RpcError(-32601, f"the method {name} does not exist/is not available")
    arguments = [] if params is None else params
    if not isinstance(arguments, list):
        raise invalid_params("non-array args")
    if len(arguments) > method.allowed:
        raise invalid_params(f"too many arguments, want at most {method.allowed}")
    given = len(arguments)
    if given < method.required:
        raise invalid_params(f"missing value for required argument {given}")
    return method.call(*arguments)
