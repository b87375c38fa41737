"""A JSON-RPC body as it is passed on, or the errors that are answered in the node's place.

What is passed on is written anew from what was read and checked, so that the node cannot read
anything else: no member twice, none in another case, no number or text that only one side takes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.gateway.methods import Method
from steelyard.web.errors import MalformedBody
from steelyard.web.parsing import read_json

# JSON-RPC 2.0, section 5.1
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})
_LARGEST_ID = 2**53 - 1
_LONGEST_ID = 64

CallId = int | str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A body for the node, and the methods in it."""

    body: bytes = field(repr=False)
    methods: tuple[str, ...]
    writes: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a body of which nothing is passed on, and the first error's code."""

    body: bytes
    code: int


class _Wrong(Exception):
    """What is wrong with one call. None of the sentences may read like one of a node's."""

    def __init__(self, code: int, message: str, call_id: CallId = None) -> None:
        super().__init__(message)
        self.error = {"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message}}
        self.code = code


def check(raw: bytes, allowed: Mapping[str, Method], max_batch: int) -> Checked | Refused:
    """Look at a body. A batch is passed on whole or not at all."""
    try:
        document = read_json(raw)
    except (MalformedBody, ValueError):
        return _alone(_Wrong(PARSE_ERROR, "The gateway cannot read this as JSON"))
    if not isinstance(document, list):
        return _checked_single(document, allowed)
    if not 1 <= len(document) <= max_batch:
        return _alone(_Wrong(INVALID_REQUEST, f"A batch must have 1 to {max_batch} calls"))
    return _checked_batch(document, allowed)


def _checked_single(document: object, allowed: Mapping[str, Method]) -> Checked | Refused:
    try:
        call = _call(document, allowed)
        body = _written(call)
    except _Wrong as wrong:
        return _alone(wrong)
    return Checked(body, (call["method"],), allowed[call["method"]].writes)


def _checked_batch(document: list[Any], allowed: Mapping[str, Method]) -> Checked | Refused:
    calls: list[dict[str, Any]] = []
    texts: list[bytes] = []
    wrongs: dict[int, _Wrong] = {}
    for place, one in enumerate(document):
        try:
            calls.append(_call(one, allowed))
            texts.append(_written(calls[-1]))
        except _Wrong as wrong:
            wrongs[place] = wrong
    if wrongs:
        return Refused(
            _dumped([_refusal(place, one, wrongs) for place, one in enumerate(document)]),
            next(iter(wrongs.values())).code,
        )
    methods = tuple(call["method"] for call in calls)
    writes = any(allowed[method].writes for method in methods)
    return Checked(b"[" + b",".join(texts) + b"]", methods, writes)


def _refusal(place: int, document: Any, wrongs: Mapping[int, _Wrong]) -> dict[str, Any]:
    if place in wrongs:
        return wrongs[place].error
    sentence = "Not passed on: another call of the batch was refused"
    return _Wrong(INVALID_REQUEST, sentence, document["id"]).error


def _call(document: object, allowed: Mapping[str, Method]) -> dict[str, Any]:
    """One call that may pass. Raises _Wrong."""
    if not isinstance(document, dict):
        raise _Wrong(INVALID_REQUEST, "A call must be an object")
    call_id = document.get("id")
    if not _is_id(call_id):
        # A call without an id has no answer; the gateway would not know what became of it.
        raise _Wrong(INVALID_REQUEST, "A call must have an id: a whole number or a short text")
    if document.keys() - _MEMBERS or document.get("jsonrpc") != "2.0":
        sentence = 'A call must have jsonrpc "2.0", id, method and params, and nothing else'
        raise _Wrong(INVALID_REQUEST, sentence, call_id)
    method, params = document.get("method"), document.get("params", [])
    if not isinstance(method, str) or not isinstance(params, list):
        raise _Wrong(INVALID_REQUEST, "method must be a text and params a list", call_id)
    if method not in allowed:
        raise _Wrong(METHOD_NOT_FOUND, "The gateway does not pass this method on", call_id)
    if not allowed[method].takes(params):
        sentence = f"The gateway does not pass these parameters of {method} on"
        raise _Wrong(INVALID_PARAMS, sentence, call_id)
    return {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_ID


def _written(call: dict[str, Any]) -> bytes:
    try:
        return _dumped(call)
    except ValueError:  # a number that is finite in JSON and not in memory
        raise _Wrong(INVALID_PARAMS, "A number is too large", call["id"]) from None


def _dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _alone(wrong: _Wrong) -> Refused:
    return Refused(_dumped(wrong.error), wrong.code)
