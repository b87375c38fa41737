"""`steelyard tickets-api`."""

from pathlib import Path

import click

from steelyard.identity.settings import IdentitySettings
from steelyard.ledger.settings import LedgerSettings
from steelyard.store.settings import StoreSettings, VaultSettings
from steelyard.tickets.app import Configuration, build_from
from steelyard.tickets.settings import TicketsSettings
from steelyard.web.logs import configure_logging
from steelyard.web.server import run


@click.command("tickets-api")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with the settings; STEELYARD_CONFIG names it otherwise.",
)
def tickets_api(config: Path | None) -> None:
    """Serve the weighing tickets API over HTTPS until SIGTERM or SIGINT."""
    configuration = Configuration(
        tickets=TicketsSettings.load(config),
        store=StoreSettings.load(config),
        vault=VaultSettings.load(config),
        identity=IdentitySettings.load(config),
        ledger=LedgerSettings.load(config),
    )
    configure_logging(configuration.tickets.log_level)
    run(lambda: build_from(configuration), configuration.tickets, "tickets API")
