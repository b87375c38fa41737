"""JSON that comes from strangers."""

import json
import re
from typing import Any

_MAX_DEPTH = 100
# A string, so that brackets in it do not count, or a bracket.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def read_json(body: bytes) -> Any:
    """Read a document. Raises ValueError for what is none, or is nested too deeply.

    Python's reader relies on the recursion limit to stop it; a library in the same process
    (py_ecc, by way of eth-account) raises that so far that the stack ends first.
    """
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH and _depth(body) > _MAX_DEPTH:
        raise ValueError("the document is nested too deeply")
    return json.loads(body.decode("utf-8"))  # in another encoding the depth would not be known


def write_json(document: Any) -> bytes:
    """A document without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for token in _TOKENS.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest
