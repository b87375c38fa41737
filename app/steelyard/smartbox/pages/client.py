"""Asking the SmartBox that runs on this machine, over its status page.

Where that page is stands in a file of the data directory, which is there while one runs.
"""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

READY_FILE = "ready.json"
TIMEOUT_SECONDS = 5


def read_page(directory: Path) -> dict[str, Any]:
    """The status page of the SmartBox that runs on a data directory.

    Raises ClickException when none does.
    """
    return _fetch(directory, "", None)


def press(directory: Path, weighbridge: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
    """Do what an operator does at a weighbridge; what its scale shows then.

    Raises ClickException with the SmartBox's reason when it does not.
    """
    return _fetch(directory, f"weighbridges/{quote(weighbridge, safe='')}/{action}", body)


def _fetch(directory: Path, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        ready = json.loads((directory / READY_FILE).read_text("utf-8"))
        request = urllib.request.Request(  # noqa: S310 - the URL is our own file's: http on loopback
            ready["status_url"] + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as page:  # noqa: S310 - as above
            answer: dict[str, Any] = json.load(page)
    except urllib.error.HTTPError as error:
        raise click.ClickException(_reason(error)) from None
    except (OSError, ValueError, KeyError):
        raise click.ClickException(
            f"no SmartBox runs on {directory}: its status page does not answer"
        ) from None
    return answer


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return f"the SmartBox answered {error.code}"
