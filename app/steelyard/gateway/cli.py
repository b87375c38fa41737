"""`steelyard gateway`."""

import asyncio
from pathlib import Path

import click

from steelyard.gateway.app import run
from steelyard.gateway.settings import GatewaySettings
from steelyard.web.logs import configure_logging


@click.command("gateway")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with the settings; STEELYARD_CONFIG names it otherwise.",
)
def gateway(config: Path | None) -> None:
    """Serve this host's ledger nodes to listed clients over mutual TLS until SIGTERM or SIGINT."""
    settings = GatewaySettings.load(config)
    configure_logging(settings.log_level)
    asyncio.run(run(settings))
