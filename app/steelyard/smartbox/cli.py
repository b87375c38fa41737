"""`steelyard smartbox`."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from steelyard.smartbox.calibrate_cli import calibrate
from steelyard.smartbox.display.operator import ACTIONS
from steelyard.smartbox.doctor_cli import doctor
from steelyard.smartbox.enrolment.cli import enrol_cells, enrol_smartbox
from steelyard.smartbox.errors import StorageUnavailable
from steelyard.smartbox.logs import configure_logs
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.pages.client import press, read_page
from steelyard.smartbox.recorder import OUTBOX_FILE
from steelyard.smartbox.service import Ready, SmartBox
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.split import split_weighings
from steelyard.smartbox.station_clock import StationClock

_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_config = click.option(
    "--config", type=_FILE, envvar="STEELYARD_CONFIG", help="TOML file with the section smartbox."
)


@click.group()
def smartbox() -> None:
    """Run a station's SmartBox, and look into it."""


for _command in (calibrate, enrol_smartbox, enrol_cells, doctor):
    smartbox.add_command(_command)


async def run_smartbox(box: SmartBox, on_ready: Callable[[Ready], None]) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, box.stop)
    await box.run(on_ready)


@smartbox.command()
@_config
@click.option(
    "--replay",
    type=_FILE,
    help="CSV with the station's weighings without the weights, which the load cells replay.",
)
def run(config: Path | None, replay: Path | None) -> None:
    """Take weights, keep tickets, send them to the platform."""
    configure_logs()
    box = SmartBox(SmartBoxSettings.load(config), replay)
    asyncio.run(run_smartbox(box, lambda ready: click.echo(ready.line)))


@smartbox.command()
@_config
def status(config: Path | None) -> None:
    """Print the running SmartBox's status as JSON."""
    directory = SmartBoxSettings.load(config).data_directory
    click.echo(json.dumps(read_page(directory), indent=2))


@smartbox.command()
@_config
@click.option("--grams", type=int, help="With tare: a preset one, instead of what stands there.")
@click.option("--vehicle", help="With vehicle: its name; without it there is none.")
@click.argument("weighbridge")
@click.argument("action", type=click.Choice(ACTIONS))
def operate(
    config: Path | None, grams: int | None, vehicle: str | None, weighbridge: str, action: str
) -> None:
    """Do at a weighbridge what its operator does: zero, tare, clear-tare, vehicle, ticket."""
    body: dict[str, Any] = {"grams": grams} if grams is not None else {}
    if vehicle is not None:
        body["vehicle"] = vehicle
    directory = SmartBoxSettings.load(config).data_directory
    shown = press(directory, weighbridge, action, body)
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@smartbox.command()
@_config
def receipts(config: Path | None) -> None:
    """Print the stored receipts, one JSON object a line."""
    outbox = _outbox(config)
    for receipt in outbox.receipts():
        click.echo(json.dumps(receipt.model_dump(mode="json", by_alias=True)))


@smartbox.command()
@_config
@click.option("--dismissed", is_flag=True, help="Those that were dismissed, instead of the others.")
def refused(config: Path | None, *, dismissed: bool) -> None:
    """Print the tickets that the platform refused, with its reasons, one JSON object a line."""
    for refusal in _outbox(config).refusals(dismissed=dismissed):
        text = json.dumps(refusal.as_json(), ensure_ascii=False)
        # What the platform wrote may hold half a character; so it becomes JSON's own escape.
        click.echo(text.encode(errors="backslashreplace").decode())


@smartbox.command()
@_config
@click.option("--all", "everything", is_flag=True, help="All refused tickets.")
@click.argument("ticket_ids", nargs=-1)
def requeue(config: Path | None, everything: bool, ticket_ids: tuple[str, ...]) -> None:
    """Send refused tickets again; also dismissed ones, by their ids."""
    outbox = _outbox_for_writing(config)
    ids = [refusal.id for refusal in outbox.refusals()] if everything else list(ticket_ids)
    click.echo(f"{outbox.requeue(ids)} tickets queued again")
    outbox.close()


@smartbox.command()
@_config
@click.option("--reason", required=True, help="Why: what became of the weighing.")
@click.argument("ticket_ids", nargs=-1, required=True)
def dismiss(config: Path | None, reason: str, ticket_ids: tuple[str, ...]) -> None:
    """Note that refused tickets are settled otherwise: they stay, and ask for nobody any more."""
    outbox = _outbox_for_writing(config)
    try:
        count = outbox.dismiss(ticket_ids, StationClock().now(), reason)
    except ValueError as error:
        raise click.UsageError(f"--reason: {error}") from None
    finally:
        outbox.close()
    click.echo(f"{count} tickets dismissed")


@smartbox.command()
@click.argument("source", type=_FILE)
@click.argument("directory", type=_DIRECTORY)
def split(source: Path, directory: Path) -> None:
    """Split a weighings CSV into each station's rows and each load cell's weights."""
    for station in split_weighings(source, directory).values():
        click.echo(f"{station.name}: {station.rows} weighings in {station.rows_file}")
        for bridge in station.weighbridges.values():
            for serial, path in bridge.cells.items():
                click.echo(f"  {bridge.name} {serial}: {path}")


def _outbox_for_writing(config: Path | None) -> Outbox:
    path = SmartBoxSettings.load(config).data_directory / OUTBOX_FILE
    if not path.exists():
        raise StorageUnavailable(f"{path}: is not there")
    return Outbox.open(path)


def _outbox(config: Path | None) -> Outbox:
    directory = SmartBoxSettings.load(config).data_directory
    return Outbox.open_for_reading(directory / OUTBOX_FILE)
