"""`steelyard pki`: make authorities and certificates, and revoke them."""

from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509

from steelyard.pki import options, request_cli
from steelyard.pki.authority import AUTHORITY_DAYS, Authority, Issued
from steelyard.pki.errors import UnknownCertificate
from steelyard.pki.profiles import KINDS, Kind


@click.group()
def pki() -> None:
    """Make authorities and certificates; revoke them."""


for _command in request_cli.COMMANDS:
    pki.add_command(_command)


@pki.command()
@options.directory
@click.option("--name", required=True, help="The authority's name.")
@click.option(
    "--days", type=click.IntRange(1, 36500), default=AUTHORITY_DAYS, show_default=True, help="Life."
)
@click.option(
    "--devices-only",
    is_flag=True,
    help="For the enrolment of devices by the platform: its certificates are good for no host.",
)
def init(directory: Path, name: str, days: int, devices_only: bool) -> None:
    """Make an authority: its key, its certificate and an empty revocation list."""
    authority = Authority.create(directory, name, days=days, nameless=devices_only)
    click.echo(f"{authority.certificate_path}: {name}, until {_day(authority.certificate)}")


@pki.command("issue-server")
@options.directory
@options.into
@options.days
@options.hosts
@click.argument("name")
def issue_server(directory: Path, into: Path, days: int, hosts: tuple[str, ...], name: str) -> None:
    """Issue a server's certificate, for HTTPS."""
    _tell(Authority.load(directory).issue_server(name, hosts, into, days=days))


@pki.command("issue-smartbox")
@options.directory
@options.into
@options.days
@options.hosts
@options.station
@click.argument("serial")
def issue_smartbox(
    directory: Path,
    into: Path,
    days: int,
    hosts: tuple[str, ...],
    station: str,
    serial: str,
) -> None:
    """Issue a SmartBox's certificate, as the server of its load cells."""
    authority = Authority.load(directory)
    _tell(authority.issue_smartbox(serial, hosts, into, station=station, days=days))


@pki.command("issue-loadcell")
@options.directory
@options.into
@options.days
@options.station
@click.argument("serial")
def issue_loadcell(directory: Path, into: Path, days: int, station: str, serial: str) -> None:
    """Issue a load cell's certificate."""
    _tell(Authority.load(directory).issue_loadcell(serial, into, station=station, days=days))


@pki.command("issue-client")
@options.directory
@options.into
@options.days
@click.argument("name")
def issue_client(directory: Path, into: Path, days: int, name: str) -> None:
    """Issue the certificate of a client that is no load cell."""
    _tell(Authority.load(directory).issue_client(name, into, days=days))


@pki.command()
@options.directory
@click.argument("certificate")
def revoke(directory: Path, certificate: str) -> None:
    """Revoke CERTIFICATE: a file, or a serial number in hexadecimal as `show` prints it."""
    authority = Authority.load(directory)
    which = _find(certificate)
    number = which if isinstance(which, int) else which.serial_number
    fresh = authority.revoke(which)
    click.echo(f"{number:x}: {'revoked' if fresh else 'was revoked already'}")


@pki.command("revoke-name")
@options.directory
@click.option("--kind", type=click.Choice(KINDS), help="Only those of this kind.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="A certificate that is not revoked: the one in use (- for standard input).",
)
@click.argument("name")
def revoke_name(directory: Path, kind: Kind | None, keep: Path | None, name: str) -> None:
    """Revoke every certificate of NAME: a host, a client or a device's serial."""
    kept = None if keep is None else _read(keep)
    revoked = Authority.load(directory).revoke_name(name, kind, keep=kept)
    for number in revoked:
        click.echo(f"{number:x}: revoked")
    if not revoked:
        click.echo("nothing to revoke")


@pki.command()
@options.directory
def show(directory: Path) -> None:
    """List what the authority issued: serial number, state, last day, subject."""
    authority = Authority.load(directory)
    crl = authority.revocations()
    now = datetime.now(UTC)
    click.echo(f"{authority.name}, until {_day(authority.certificate)}")
    for one in authority.issued():
        state = "valid"
        if crl.get_revoked_certificate_by_serial_number(one.serial_number) is not None:
            state = "revoked"
        elif one.not_valid_after_utc < now:
            state = "expired"
        subject = one.subject.rfc4514_string()
        click.echo(f"{one.serial_number:x}  {state:<7}  {_day(one)}  {subject}")


def _find(certificate: str) -> int | x509.Certificate:
    path = Path(certificate)
    if path.is_file():
        return _read(path)
    try:
        return int(certificate, 16)
    except ValueError:
        raise UnknownCertificate(
            f"{certificate}: is neither a file nor a serial number in hexadecimal"
        ) from None


def _read(path: Path) -> x509.Certificate:
    try:
        with click.open_file(str(path), "rb") as stream:
            return x509.load_pem_x509_certificate(stream.read())
    except OSError as error:
        raise UnknownCertificate(f"{path}: {error.strerror}") from None
    except ValueError:
        raise UnknownCertificate(f"{path}: is not a PEM certificate") from None


def _tell(issued: Issued) -> None:
    click.echo(f"{issued.certificate_path}: {issued.serial_number:x}, {_day(issued.certificate)}")


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"
