"""`steelyard collect`: figures of this host for the monitoring."""

import time
from pathlib import Path

import click

from steelyard.collector import service
from steelyard.collector.settings import CollectorSettings
from steelyard.errors import ConfigurationError


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with the settings (or the variable STEELYARD_CONFIG).",
)
@click.option("--once", is_flag=True, help="End after one look.")
def collect(config_file: Path | None, *, once: bool) -> None:
    """Write figures of this host for node_exporter, again and again."""
    settings = CollectorSettings.load(config_file)
    if not settings.directory.is_dir():
        raise ConfigurationError(f"collector.directory: {settings.directory} must be a directory")
    while True:
        service.write(settings, service.collect(settings))
        if once:
            return
        time.sleep(settings.every_seconds)
