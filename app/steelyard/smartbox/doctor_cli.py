"""`steelyard smartbox doctor`."""

import asyncio
import json
import sys
from pathlib import Path

import click

from steelyard.errors import ConfigurationError
from steelyard.smartbox.doctor import Finding, Level, examine
from steelyard.smartbox.settings import SmartBoxSettings

_MARKS = {Level.OK: "ok  ", Level.WARNING: "WARN", Level.FAILURE: "FAIL"}


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="STEELYARD_CONFIG",
    help="TOML file with the section smartbox.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array of findings.")
def doctor(config: Path | None, as_json: bool) -> None:
    """Look at clock, disk, certificates, load cells and platform, and say what to do.

    Exit status 0: all is well; 3: something wants looking after; 4: something does not work.
    """
    try:
        findings = asyncio.run(examine(SmartBoxSettings.load(config)))
    except ConfigurationError as problem:
        remedy = "correct the setting; a fresh SmartBox is made by `steelyard smartbox enrol`"
        findings = [Finding("configuration", Level.FAILURE, problem.detail, remedy)]
    if as_json:
        click.echo(json.dumps([one.as_json() for one in findings], ensure_ascii=False, indent=2))
    else:
        for one in findings:
            click.echo(f"{_MARKS[one.level]}  {one.name}: {one.found}")
            if one.level is not Level.OK and one.remedy:
                click.echo(f"      {one.remedy}")
    sys.exit(max(one.level for one in findings))
