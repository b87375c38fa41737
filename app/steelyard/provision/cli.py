"""`steelyard provision`."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from steelyard.errors import ConfigurationError
from steelyard.provision.client import LogIn, management
from steelyard.provision.document import Description, folded, read_description
from steelyard.provision.errors import ProvisioningFailed
from steelyard.provision.secrets import SecretsDirectory
from steelyard.provision.service import Provisioner, Result
from steelyard.secret_files import read_secret_line

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument(
    "document", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), required=False
)
@click.option("--url", required=True, help="Base URL of the management API: https.")
@click.option(
    "--ca-file", type=_FILE, required=True, help="The only authority that its certificate may have."
)
@click.option("--login", required=True, help="A platform administrator's log-in.")
@click.option(
    "--password-file",
    type=_FILE,
    required=True,
    help="File with the password, readable by its owner only.",
)
@click.option(
    "--secrets-directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where new stations' client secrets (station-NAME.secret) and new users' passwords "
    "(user-LOGIN.password) are written.",
)
@click.option(
    "--new-credentials",
    "renewed",
    multiple=True,
    metavar="STATION",
    help="Give a station a new client secret; the old one ends at once. Repeat.",
)
@click.option(
    "--remove",
    "removed",
    type=(click.Choice(["station"]), str),
    multiple=True,
    help="Take a station out of service, with its devices and weighbridges; its tickets stay "
    "readable for the customer. Repeat.",
)
@click.option("--trial", is_flag=True, help="Change nothing; tell what would be changed.")
def provision(
    document: Path | None,
    renewed: tuple[str, ...],
    removed: tuple[tuple[str, str], ...],
    *,
    trial: bool,
    **access: Any,
) -> None:
    """Make the platform know the nodes, customers, users, stations and devices of DOCUMENT.

    It is JSON (- for standard input), or TOML where its name ends in .toml.
    What is there already stays, what moved is changed, nothing is deleted unless --remove says so.
    Prints the result as JSON: what was changed, and each station's client id.
    """
    if document is None and not renewed and not removed:
        raise click.UsageError("a DOCUMENT, --new-credentials or --remove is needed")
    _check_url(access["url"])
    wanted = read_description(document) if document is not None else None
    names = [name for _, name in removed]
    _check_removed(names, wanted)
    password = read_secret_line(access["password_file"], "--password-file")
    log_in = LogIn(access["login"], password)
    secrets = SecretsDirectory(access["secrets_directory"], make=not trial)

    async def work() -> Result:
        async with management(access["url"], access["ca_file"], log_in) as api:
            provisioner = Provisioner(api, secrets, trial=trial)
            for name in names:
                await provisioner.remove_station(name)
            if wanted is not None:
                await provisioner.apply(wanted)
            await provisioner.new_credentials(renewed)
            return provisioner.result

    click.echo(json.dumps(asdict(asyncio.run(work())), indent=2))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError("--url: must be an https URL with a host")


def _check_removed(names: list[str], wanted: Description | None) -> None:
    described = {folded(one.name) for _, one in wanted.stations()} if wanted else set()
    for name in names:
        if folded(name) in described:
            raise ProvisioningFailed(
                f"station {name}: is to be removed, but is in the document; take it out of there"
            )
