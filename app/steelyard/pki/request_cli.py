"""Certificates whose keys are born on their hosts: request, sign-request, install, check."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.pki import files, options
from steelyard.pki.authority import Authority
from steelyard.pki.errors import KeyUnusable
from steelyard.pki.profiles import host_name
from steelyard.pki.requests import Place, install, make_request, read_key
from steelyard.pki.signing import MAX_BYTES, sign_request
from steelyard.pki.standing import Expected, Standing, standing

_Loaded = TypeVar("_Loaded")

_file = click.option("--file", "stem", help="Name of the files without ending.  [default: as NAME]")
_ca = click.option(
    "--ca", type=options.readable, required=True, help="The authority's certificate."
)


@click.command()
@options.into
@options.wanted(required=True)
@_file
@click.option("--rekey", is_flag=True, help="For a new key; the old one stays until `install`.")
@click.argument("name")
def request(into: Path, wanted: options.Wanted, stem: str | None, rekey: bool, name: str) -> None:
    """Make a key for NAME, once, and a certificate request for it; print the request's path.

    The key never leaves the host. An authority signs the request with `sign-request`.
    """
    profile = wanted.profile(name)
    click.echo(make_request(Place.of(into, stem or name), profile, rekey=rekey))


@click.command("sign-request")
@options.directory
@options.days
@options.wanted(required=True)
@click.option("--name", required=True, help="The name or serial that is certified.")
@click.option(
    "-o", "--output", type=options.readable, help="The certificate's file.  [default: prints it]"
)
@click.argument("csr", type=click.File("rb"))
def sign(
    directory: Path,
    days: int,
    wanted: options.Wanted,
    name: str,
    output: Path | None,
    csr: BinaryIO,
) -> None:
    """Sign the request CSR (- for standard input) as the options say.

    What the request asks for is compared with the options and never taken: names that differ, and
    anything but names, are refused. So is a key whose certificate was revoked.
    """
    pem = csr.read(MAX_BYTES + 1)
    signed = sign_request(Authority.load(directory), pem, wanted.profile(name), days=days)
    content = signed.public_bytes(Encoding.PEM)
    if output is None:
        click.echo(content, nl=False)
        return
    files.replace(output, content)
    click.echo(f"{output}: {signed.serial_number:x}, {signed.not_valid_after_utc:%Y-%m-%d}")


@click.command("install")
@options.into
@_ca
@_file
@click.argument("name")
@click.argument("certificate", type=click.File("rb"))
def install_certificate(
    into: Path, ca: Path, stem: str | None, name: str, certificate: BinaryIO
) -> None:
    """Take CERTIFICATE (- for standard input) into use for NAME, with the key that it is for.

    It must be the authority's. A key that `request --rekey` made replaces the old one now.
    """
    place = Place.of(into, stem or name)
    new = install(place, certificate.read(MAX_BYTES + 1), _certificate(ca))
    click.echo(f"{place.file('pem')}: {'a new key' if new else 'the same key'}")


@click.command()
@_ca
@options.wanted(required=False)
@click.option("--crl", type=options.readable, help="The authority's revocation list.")
@click.option("--key", type=options.readable, help="The private key that it must be for.")
@click.option("--name", help="The name that it must have; with --kind everything is compared.")
@click.option(
    "--days", type=click.IntRange(0, 36500), help="Renew with fewer left.  [default: a third]"
)
@click.argument("certificate", type=options.readable)
def check(
    ca: Path,
    wanted: options.Wanted,
    crl: Path | None,
    key: Path | None,
    name: str | None,
    days: int | None,
    certificate: Path,
) -> None:
    """Say how CERTIFICATE stands: exit status 0 valid, 3 to be renewed, 4 bad, 5 revoked.

    Bad is also one that is not there, is for another key, or has other names than these.
    """
    if name is None and (wanted.kind or wanted.station):
        raise click.UsageError("--kind and --station need --name")
    expected_profile = wanted.profile(name) if name is not None else None
    names = tuple(host_name(host) for host in wanted.hosts)
    try:
        expected = Expected(
            profile=expected_profile,
            names=names,
            revocations=_revocations(crl) if crl else None,
            key=read_key(key).public_key() if key else None,
            days=days,
        )
        found, reason = standing(
            _certificate(certificate), _certificate(ca), expected, datetime.now(UTC)
        )
    except KeyUnusable as problem:
        found, reason = Standing.BAD, problem.detail
    click.echo(f"{certificate}: {found.name.lower()}: {reason}")
    sys.exit(found)


def _certificate(path: Path) -> x509.Certificate:
    return _read(path, x509.load_pem_x509_certificate, "certificate")


def _revocations(path: Path) -> x509.CertificateRevocationList:
    return _read(path, x509.load_pem_x509_crl, "revocation list")


def _read(path: Path, load: Callable[[bytes], _Loaded], what: str) -> _Loaded:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from None
    except ValueError:
        raise KeyUnusable(f"{path}: is no PEM {what}") from None


COMMANDS = (request, sign, install_certificate, check)
