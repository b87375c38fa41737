"""`steelyard loadcell`."""

import os
import sys
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import click

from steelyard.loadcell.__main__ import to_argument
from steelyard.loadcell.communicator import run_loadcell
from steelyard.loadcell.settings import LoadCellSettings


@click.group()
def loadcell() -> None:
    """Run a load cell communicator."""


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
