"""`steelyard backup`: back this host up, look after the repositories, restore a set."""

from pathlib import Path

import click

from steelyard.backup import restore as restoration
from steelyard.backup import service
from steelyard.backup.settings import BackupSettings

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with the settings (or the variable STEELYARD_CONFIG).",
)


@click.group()
def backup() -> None:
    """Back this host up by restic, and restore what was backed up."""


@backup.command()
@config_option
def init(config_file: Path | None) -> None:
    """Make the repositories, and a password for each that has none. Safe to repeat."""
    for sentence in service.initialise(BackupSettings.load(config_file)):
        click.echo(sentence)


@backup.command()
@config_option
@click.argument("sets", nargs=-1)
def run(config_file: Path | None, sets: tuple[str, ...]) -> None:
    """Back up the sets, all by default, and forget old backups."""
    service.run(BackupSettings.load(config_file), sets, click.echo)


@backup.command()
@config_option
def resume(config_file: Path | None) -> None:
    """Start the units that a backup stopped and, killed, did not start again."""
    service.units_of(BackupSettings.load(config_file)).resume()


@backup.command()
@config_option
@click.option(
    "--percent",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    help="How much of the data is read as well, chosen anew each time.",
)
def check(config_file: Path | None, percent: int) -> None:
    """Check the repositories."""
    service.check(BackupSettings.load(config_file), percent, click.echo)


@backup.command("list")
@config_option
@click.option("--host", help="Another host's, by its name in the repository.")
@click.argument("name", metavar="SET")
def list_backups(config_file: Path | None, host: str | None, name: str) -> None:
    """List a set's backups, the oldest first."""
    settings = BackupSettings.load(config_file)
    client = service.client_of(settings, service.find_set(settings, name))
    for one in client.snapshots(name, host or settings.host):
        click.echo(f"{one.id[:8]} {one.time[:19]}")


@backup.command()
@config_option
@click.option("--snapshot", default="latest", show_default=True, help="Which backup, by its id.")
@click.option("--host", help="Another host's, by its name in the repository.")
@click.option("--force", is_flag=True, help="Put aside what is there.")
@click.option("--no-start", is_flag=True, help="Leave the units stopped.")
@click.argument("name", metavar="SET")
def restore(
    config_file: Path | None,
    snapshot: str,
    host: str | None,
    *,
    force: bool,
    no_start: bool,
    name: str,
) -> None:
    """Restore a set to its place, with its owners."""
    request = restoration.Request(name, snapshot, host, force=force, start=not no_start)
    for sentence in restoration.restore(BackupSettings.load(config_file), request):
        click.echo(sentence)
