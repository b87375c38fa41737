"""`python -m infra.flash`: what playbooks/flash.yml does, one step at a time.

An order stands on standard input as JSON, and lines of JSON come out: progress, then the result or
why it was refused. A secret is never among the words.
"""

import json
import sys
from typing import Any

import click

from infra.flash.errors import FlashRefused
from infra.flash.orders import read_order
from infra.flash.service import flash, look


@click.group()
def main() -> None:
    """Write a station's image to a card."""


@main.command("look")
def look_at() -> None:
    """Check image, settings and device of an order, and change nothing."""
    _say({"device": look(read_order(sys.stdin.read())).as_json()})


@main.command("write")
def write() -> None:
    """Carry an order out. Whatever is on the device is erased, and nobody is asked."""
    flashed = flash(read_order(sys.stdin.read()), _Teller().tell)
    _say({"flashed": flashed.as_json()})


class _Teller:
    """Tells each whole percent once."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def tell(self, phase: str, done: int, total: int) -> None:
        """How much of a step is done: bytes, or marks."""
        now = (phase, 100 * done // total)
        if now != self._last:
            self._last = now
            _say({"phase": phase, "percent": now[1]})


def _say(what: dict[str, Any]) -> None:
    click.echo(json.dumps(what))


if __name__ == "__main__":
    try:
        main()
    except FlashRefused as refused:
        _say({"refused": str(refused)})
        sys.exit(1)
