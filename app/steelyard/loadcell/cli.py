"""`steelyard loadcell`."""

import asyncio
import os
import sys
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import click

from steelyard.loadcell.__main__ import to_argument
from steelyard.loadcell.communicator import run_loadcell
from steelyard.loadcell.enrol import Wanted, enrol
from steelyard.loadcell.settings import LoadCellSettings
from steelyard.pki.claims import parse_code


@click.group()
def loadcell() -> None:
    """Run a load cell communicator."""


@loadcell.command("enrol")
@click.option("--smartbox", "host", required=True, help="Host name or address of the SmartBox.")
@click.option(
    "--claim",
    required=True,
    help="The claim code that an administrator made for this cell; - reads it from standard input.",
)
@click.option("--serial", help="Serial of this cell: a code for another one is refused.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where key, certificates and configuration are written.",
)
@click.option(
    "--port",
    "enrolment_port",
    type=click.IntRange(1, 65535),
    default=5683,
    show_default=True,
    help="UDP port of `smartbox enrol-cells`.",
)
@click.option(
    "--samples-port",
    "port",
    type=click.IntRange(1, 65535),
    default=5684,
    show_default=True,
    help="UDP port to which samples go (CoAP over DTLS).",
)
def enrol_cell(
    host: str, claim: str, serial: str | None, into: Path, enrolment_port: int, port: int
) -> None:
    """Make this cell its station's, through a SmartBox where `smartbox enrol-cells` runs.

    The key is made here and stays here. What is interrupted may be called again with the same code.
    """
    typed = sys.stdin.readline() if claim == "-" else claim
    wanted = Wanted(host, enrolment_port, port, into, serial)
    cell, config = asyncio.run(enrol(wanted, parse_code(typed)))
    click.echo(f"load cell {cell}: {config}")


@loadcell.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="STEELYARD_CONFIG",
    help="TOML file with the section loadcell.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV `timestamp,kg` to replay, instead of the setting replay_file.",
)
@click.option("--interval", type=click.FloatRange(min=0), help="Seconds between two samples.")
@click.option("--once", is_flag=True, help="End when the replayed file is at its end.")
def run(config: Path | None, replay: Path | None, interval: float | None, once: bool) -> None:
    """Send the cell's weights to the SmartBox; exit status 1 if it refused one for good."""
    settings = LoadCellSettings.load(config)
    given: dict[str, Any] = {"replay_file": replay, "interval_seconds": interval}
    if once:
        given["once"] = True
    changes = {name: value for name, value in given.items() if value is not None}
    checked = settings.model_copy(update=changes).config()
    if parent_process() is not None:
        # Forked from a parent that imported everything: a new interpreter would share nothing.
        sys.exit(run_loadcell(checked))
    # Become the small process; the settings were checked and their libraries are not needed.
    argument = to_argument(checked)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "steelyard.loadcell", argument])  # noqa: S606 - our own interpreter, no shell
