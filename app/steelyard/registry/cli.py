"""`steelyard management-api`."""

from pathlib import Path

import click

from steelyard.identity.settings import IdentitySettings
from steelyard.ledger.settings import LedgerSettings
from steelyard.registry.app import Configuration, build_from
from steelyard.registry.enrolment.settings import EnrolmentSettings
from steelyard.registry.settings import ManagementSettings
from steelyard.store.settings import StoreSettings, VaultSettings
from steelyard.web.logs import configure_logging
from steelyard.web.server import run


@click.command("management-api")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with the settings; STEELYARD_CONFIG names it otherwise.",
)
def management_api(config: Path | None) -> None:
    """Serve the authentication & management API over HTTPS until SIGTERM or SIGINT."""
    configuration = Configuration(
        management=ManagementSettings.load(config),
        store=StoreSettings.load(config),
        vault=VaultSettings.load(config),
        identity=IdentitySettings.load(config),
        ledger=LedgerSettings.load(config),
        enrolment=EnrolmentSettings.load(config),
    )
    configure_logging(configuration.management.log_level)
    run(lambda: build_from(configuration), configuration.management, "management-api")
