"""JSON from strangers: nested too deeply, it must be refused before Python reads it.

Python's reader relies on the recursion limit to stop it; a library in the same process (py_ecc, by
way of eth-account) raises that so far that the stack ends first, and the process with it.
"""

import json
import re
from typing import Any

MAX_DEPTH = 100
# A string, so that brackets in it do not count, or a bracket.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def depth(body: bytes) -> int:
    """How deep the arrays and objects of a JSON text are nested, were it one."""
    level = deepest = 0
    for token in _TOKENS.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif first in b"]}":
            level -= 1
    return deepest


def is_too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether a JSON text is nested more than `limit` levels deep."""
    return body.count(b"[") + body.count(b"{") > limit and depth(body) > limit


def read_json(body: bytes) -> Any:
    """Read a UTF-8 document. Raises ValueError for what is none, or is nested too deeply."""
    if is_too_deep(body):
        raise ValueError("the document is nested too deeply")
    return json.loads(body.decode("utf-8"))  # in another encoding the depth would not be known
