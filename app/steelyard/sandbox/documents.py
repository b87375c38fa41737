"""JSON as the engines write it."""

import json
from typing import Any


def write_json(document: Any) -> bytes:
    """A document without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()
