"""`steelyard smartbox`."""

import asyncio
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click
import structlog

from steelyard.smartbox.errors import StorageUnavailable
from steelyard.smartbox.outbox import Outbox
from steelyard.smartbox.recorder import OUTBOX_FILE
from steelyard.smartbox.service import READY_FILE, Ready, SmartBox
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.split import split_weighings

STATUS_TIMEOUT_SECONDS = 5

_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_config = click.option(
    "--config", type=_FILE, envvar="STEELYARD_CONFIG", help="TOML file with the section smartbox."
)


def configure_logs() -> None:
    """Log JSON lines to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


@click.group()
def smartbox() -> None:
    """Run a station's SmartBox, and look into it."""


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
    try:
        ready = json.loads((directory / READY_FILE).read_text("utf-8"))
        with urllib.request.urlopen(ready["status_url"], timeout=STATUS_TIMEOUT_SECONDS) as page:  # noqa: S310 - the URL is our own file's: http on loopback
            answer = json.load(page)
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        raise click.ClickException(
            f"no SmartBox runs on {directory}: its status page does not answer"
        ) from None
    click.echo(json.dumps(answer, indent=2))


@smartbox.command()
@_config
def receipts(config: Path | None) -> None:
    """Print the stored receipts, one JSON object a line."""
    outbox = _outbox(config)
    for receipt in outbox.receipts():
        click.echo(json.dumps(receipt.model_dump(mode="json", by_alias=True)))


@smartbox.command()
@_config
def refused(config: Path | None) -> None:
    """Print the tickets that the platform refused, with its reasons, one JSON object a line."""
    for refusal in _outbox(config).refusals():
        line = {"ticketID": refusal.id, "problem": refusal.problem, "ticket": refusal.ticket}
        text = json.dumps(line, ensure_ascii=False)
        # What the platform wrote may hold half a character; so it becomes JSON's own escape.
        click.echo(text.encode(errors="backslashreplace").decode())


@smartbox.command()
@_config
@click.option("--all", "everything", is_flag=True, help="All refused tickets.")
@click.argument("ticket_ids", nargs=-1)
def requeue(config: Path | None, everything: bool, ticket_ids: tuple[str, ...]) -> None:
    """Send refused tickets again."""
    path = SmartBoxSettings.load(config).data_directory / OUTBOX_FILE
    if not path.exists():
        raise StorageUnavailable(f"{path}: is not there")
    outbox = Outbox.open(path)
    ids = [refusal.id for refusal in outbox.refusals()] if everything else list(ticket_ids)
    click.echo(f"{outbox.requeue(ids)} tickets queued again")
    outbox.close()


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


def _outbox(config: Path | None) -> Outbox:
    directory = SmartBoxSettings.load(config).data_directory
    return Outbox.open_for_reading(directory / OUTBOX_FILE)
