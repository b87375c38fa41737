"""Options that the room's commands share."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from steelyard.pki.authority import LEAF_DAYS
from steelyard.pki.errors import InvalidSubject
from steelyard.pki.profiles import KINDS, Kind, Profile, profile_of

Command = Callable[..., Any]

directory = click.option(
    "--authority",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The authority's directory.",
)
into = click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="Where NAME.pem and NAME.key are written.",
)
days = click.option(
    "--days",
    type=click.IntRange(1, 36500),
    default=LEAF_DAYS,
    show_default=True,
    help="How long it is valid, at most as long as the authority.",
)
hosts = click.option("--host", "hosts", multiple=True, help="A DNS name or IP address; repeat.")
station = click.option(
    "--station", required=True, help="The station it belongs to (subject's organization)."
)
readable = click.Path(exists=False, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator says of a certificate."""

    kind: Kind | None
    hosts: tuple[str, ...]
    station: str | None

    def profile(self, name: str) -> Profile:
        """The profile for a name. Raises InvalidSubject."""
        if self.kind is None:
            raise InvalidSubject(f"--kind must say what the certificate is for: {', '.join(KINDS)}")
        return profile_of(self.kind, name, self.hosts, self.station)


def wanted(*, required: bool) -> Callable[[Command], Command]:
    """Give a command --kind, --host and --station as its argument `wanted`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def call(
            *, kind: Kind | None, hosts: tuple[str, ...], station: str | None, **others: object
        ) -> object:
            return command(wanted=Wanted(kind, hosts, station), **others)

        text = "What it is for."
        kind = click.option("--kind", type=click.Choice(KINDS), required=required, help=text)
        text = "The station of a SmartBox or a load cell."
        optional_station = click.option("--station", help=text)
        return kind(hosts(optional_station(call)))

    return decorate
