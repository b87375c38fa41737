"""`steelyard smartbox enrol` and `enrol-cells`."""

import asyncio
import sys
from pathlib import Path

import click

from steelyard.errors import ConfigurationError
from steelyard.pki.claims import parse_code
from steelyard.smartbox.enrolment.cell_relay import RelayResource, open_relay
from steelyard.smartbox.enrolment.enrol import TIMEOUT_SECONDS, Wanted, check_url, enrol
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.settings import SmartBoxSettings
from steelyard.smartbox.uplink.platform import make_session, make_tls_context
from steelyard.smartbox.urls import check_proxy

_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command("enrol")
@click.option("--platform", "url", required=True, help="Base URL of the management API.")
@click.option(
    "--claim",
    required=True,
    help="The claim code that an administrator made for this SmartBox; - reads it from standard "
    "input, so that no process list shows it.",
)
@click.option(
    "--ca",
    "ca_file",
    type=_FILE,
    required=True,
    help="The only authority that the platform's certificates may have (PEM).",
)
@click.option("--serial", help="Serial of this SmartBox: a code for another one is refused.")
@click.option(
    "--into",
    type=_DIRECTORY,
    default=Path("/var/lib/steelyard/enrolment"),
    show_default=True,
    help="Where key, certificates, client secret and configuration are written.",
)
@click.option(
    "--data",
    "data_directory",
    type=_DIRECTORY,
    default=Path("/var/lib/steelyard/smartbox"),
    show_default=True,
    help="Directory of the alibi memory and the outbox.",
)
@click.option(
    "--proxy",
    help="URL of an HTTP proxy on the way to the platform, as http://proxy.example:3128.",
)
def enrol_smartbox(
    url: str,
    claim: str,
    ca_file: Path,
    serial: str | None,
    into: Path,
    data_directory: Path,
    proxy: str | None,
) -> None:
    """Make this SmartBox a station's: key, certificate, log-in and configuration, in one step.

    The key is made here and stays here. What is interrupted may be called again with the same code.
    """
    typed = sys.stdin.readline() if claim == "-" else claim
    try:
        proxy = check_proxy(proxy) if proxy is not None else None
    except ValueError as error:
        raise ConfigurationError(f"--proxy {error}") from None
    wanted = Wanted(check_url(url), ca_file, into, data_directory, serial, proxy=proxy)
    done = asyncio.run(enrol(wanted, parse_code(typed)))
    until = f"{done.certificate.not_valid_after_utc:%Y-%m-%d}"
    click.echo(f"SmartBox {done.serial} of {done.station}: {done.config_file}, until {until}")
    if done.fault is not None:
        raise ConfigurationError(
            f"the SmartBox is enrolled, but will not start before {done.config_file} is corrected: "
            f"{done.fault}"
        )
    click.echo(f"Next: steelyard smartbox doctor --config {done.config_file}")


@click.command("enrol-cells")
@click.option(
    "--config",
    type=_FILE,
    envvar="STEELYARD_CONFIG",
    help="TOML file with the section smartbox.",
)
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")  # noqa: S104 - the load cells come from the station's own network
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5683,
    show_default=True,
    help="UDP port, CoAP without DTLS.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, max=1440, min_open=True),
    default=15.0,
    show_default=True,
    help="How long to wait for cells.",
)
def enrol_cells(config: Path | None, host: str, port: int, minutes: float) -> None:
    """Hand fresh load cells' requests on to the platform; each needs a claim code of its own.

    Beside the running SmartBox, until the time is over or Ctrl-C.
    """
    settings = SmartBoxSettings.load(config)
    if not settings.enrolled:
        raise ConfigurationError(
            "smartbox.enrolled: is not true: this station's cells get their certificates otherwise"
        )
    asyncio.run(_relay(settings, host, port, minutes))


async def _relay(settings: SmartBoxSettings, host: str, port: int, minutes: float) -> None:
    tls = make_tls_context(settings.ca_file)
    async with make_session(tls, TIMEOUT_SECONDS, settings.proxy_url) as session:
        management = Management(session, settings.management_url)
        station = settings.cells_station
        context = await open_relay(RelayResource(management, station, click.echo), host, port)
        click.echo(f"waiting for load cells at coap://{host}:{port}/enrol, {minutes:g} minutes")
        try:
            await asyncio.sleep(minutes * 60)
        finally:
            await context.shutdown()
