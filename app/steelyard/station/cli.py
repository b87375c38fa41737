"""`steelyard station`."""

import json
from pathlib import Path

import click

from steelyard.station.console import as_text
from steelyard.station.following import Following
from steelyard.station.growing import grow
from steelyard.station.machine import Machine
from steelyard.station.places import Places
from steelyard.station.preparing import finish as finish_first_boot
from steelyard.station.preparing import prepare as prepare_machine
from steelyard.station.settings import StationSettings
from steelyard.station.state import Shown, State

_config = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="STEELYARD_CONFIG",
    help="TOML file with the section station.",
)


@click.group()
def station() -> None:
    """Set a station's machine up from its card: the units of the station's image call these."""


@station.command()
@_config
def prepare(config: Path | None) -> None:
    """Become what the card says: network, host name, ssh keys. As root, at each boot.

    What goes wrong is printed, and the boot goes on.
    """
    settings = StationSettings.load(config)
    places = Places(settings)
    done = prepare_machine(places, Machine(places))
    for fault in done.faults:
        click.echo(f"steelyard: {fault}", err=True)
    card = done.told.card
    click.echo(f"station {card.station}" if card is not None else "no station yet")


@station.command("grow")
@_config
def grow_data(config: Path | None) -> None:
    """Let the data partition fill the card. As root, before it is mounted."""
    done = grow(StationSettings.load(config).data_device)
    click.echo(done or "the data partition fills the card")


@station.command("first-boot")
@_config
def first_boot(config: Path | None) -> None:
    """Enrol the SmartBox with the card's claim code; until then show what it waits for.

    Ends once the SmartBox is enrolled. It may be interrupted at any time and called again.
    """
    # Imported here alone: the commands that each boot waits for need no HTTP.
    from steelyard.smartbox.logs import configure_logs
    from steelyard.station.first_boot_service import run

    configure_logs()
    run(StationSettings.load(config))


@station.command("follow-card")
@_config
def follow_card(config: Path | None) -> None:
    """Bring a new card's proxy and time zone into the configuration of an enrolled SmartBox.

    As the SmartBox's user, before it starts; `station prepare` leaves word of what differs.
    """
    places = Places(StationSettings.load(config))
    told = Following.read(places.following)
    changed = told.bring(places.smartbox_config)
    click.echo(f"{places.smartbox_config} {'follows' if changed else 'followed'} the card")


@station.command()
@_config
def finish(config: Path | None) -> None:
    """Wipe claim code and Wi-Fi secret from the card, once the SmartBox is enrolled. As root."""
    finish_first_boot(Places(StationSettings.load(config)))


@station.command()
@_config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(config: Path | None, as_json: bool) -> None:
    """Print how far the first boot is."""
    settings = StationSettings.load(config)
    path = Places(settings).first_boot_state
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise click.ClickException(f"{_without_state(settings)}: {path} is not there") from None
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    shown = Shown(
        **{**found, "addresses": tuple(found["addresses"]), "state": State(**found["state"])}
    )
    click.echo(as_text(shown), nl=False)


def _without_state(settings: StationSettings) -> str:
    try:
        enrolled = Places(settings).is_enrolled()
    except PermissionError:
        return "only root sees whether the SmartBox is enrolled"
    return "the SmartBox is enrolled" if enrolled else "the first boot has not begun"
