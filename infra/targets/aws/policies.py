"""Documents of permissions, as the provider reads them."""

import json
from collections.abc import Sequence
from typing import Any

VERSION = "2012-10-17"


def statement(
    actions: str | Sequence[str], resources: Sequence[str], *, effect: str = "Allow"
) -> dict[str, Any]:
    """One statement."""
    told = [actions] if isinstance(actions, str) else list(actions)
    return {"Effect": effect, "Action": told, "Resource": list(resources)}


def document(*statements: dict[str, Any]) -> str:
    """A document of statements, as JSON."""
    return json.dumps({"Version": VERSION, "Statement": list(statements)})


def taken_by(service: str) -> str:
    """Who may take a role: a service of the provider."""
    return document(
        {
            "Effect": "Allow",
            "Action": ["sts:AssumeRole"],
            "Principal": {"Service": f"{service}.amazonaws.com"},
        }
    )
