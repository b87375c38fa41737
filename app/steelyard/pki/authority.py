"""A certificate authority in a directory.

Its files are `authority.pem`, `authority.key`, `crl.pem` and those in `issued/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from steelyard.errors import ConfigurationError
from steelyard.pki import building, files
from steelyard.pki.errors import AuthorityUnusable, FileExists, UnknownCertificate
from steelyard.pki.profiles import (
    Kind,
    Profile,
    check_name,
    client_profile,
    kind_of,
    loadcell_profile,
    server_profile,
    smartbox_profile,
)
from steelyard.secret_files import locked, read_secret

AUTHORITY_DAYS = 3650
LEAF_DAYS = 825
CERTIFICATE_FILE = "authority.pem"
KEY_FILE = "authority.key"
CRL_FILE = "crl.pem"
ISSUED_DIRECTORY = "issued"


@dataclass(frozen=True, slots=True)
class Issued:
    """A leaf certificate and the files that hold it and its private key."""

    certificate: x509.Certificate
    certificate_path: Path
    key_path: Path

    @property
    def serial_number(self) -> int:
        return self.certificate.serial_number


class Authority:
    """One authority. Two of them (HTTPS servers, devices) trust nothing of each other's."""

    def __init__(
        self, directory: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        self.directory = directory
        self.certificate = certificate
        self._key = key

    def __repr__(self) -> str:
        return f"Authority({str(self.directory)!r})"

    @property
    def certificate_path(self) -> Path:
        return self.directory / CERTIFICATE_FILE

    @property
    def crl_path(self) -> Path:
        return self.directory / CRL_FILE

    @property
    def name(self) -> str:
        """The subject's common name."""
        return _common_name(self.certificate)

    @classmethod
    def create(
        cls, directory: Path, name: str, *, days: int = AUTHORITY_DAYS, nameless: bool = False
    ) -> Self:
        """Make an authority with an empty revocation list; FileExists where one is already.

        With `nameless` no certificate of it is good for a DNS name or an address.
        """
        check_name("name", name)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(directory):
            if (directory / CERTIFICATE_FILE).exists():
                raise FileExists(f"{directory / CERTIFICATE_FILE} exists and is not overwritten")
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = building.self_signed(key, name, days, nameless=nameless)
            files.write_new(directory / KEY_FILE, files.private_pem(key), files.PRIVATE)
            pem = certificate.public_bytes(Encoding.PEM)
            files.write_new(directory / CERTIFICATE_FILE, pem, files.PUBLIC)
            (directory / ISSUED_DIRECTORY).mkdir(exist_ok=True)
            self = cls(directory, certificate, key)
            self._write_crl([], number=1)
        return self

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read an authority; AuthorityUnusable names the file that is wrong."""
        certificate = _read_certificate(directory / CERTIFICATE_FILE)
        key_path = directory / KEY_FILE
        try:
            key = load_pem_private_key(read_secret(key_path, "the private key"), password=None)
        except ConfigurationError as problem:
            raise AuthorityUnusable(problem.detail) from None
        except (ValueError, TypeError) as error:
            raise AuthorityUnusable(f"{key_path}: {_cause(error)}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityUnusable(f"{key_path}: must be an elliptic curve key")
        if key.public_key() != certificate.public_key():
            raise AuthorityUnusable(f"{key_path} does not belong to {CERTIFICATE_FILE}")
        return cls(directory, certificate, key)

    def issue_server(
        self, name: str, hosts: Sequence[str], into: Path, *, days: int = LEAF_DAYS
    ) -> Issued:
        """An HTTPS or CoAP server's certificate for DNS names and IP addresses."""
        return self._issue(server_profile(name, hosts), name, into, days)

    def issue_smartbox(
        self,
        serial: str,
        hosts: Sequence[str],
        into: Path,
        *,
        station: str,
        days: int = LEAF_DAYS,
    ) -> Issued:
        """A SmartBox's certificate as its load cells' server; they refuse another station's."""
        return self._issue(smartbox_profile(serial, hosts, station), serial, into, days)

    def issue_loadcell(
        self, serial: str, into: Path, *, station: str, days: int = LEAF_DAYS
    ) -> Issued:
        """A load cell's certificate; only the SmartBox of its station takes its samples."""
        return self._issue(loadcell_profile(serial, station), serial, into, days)

    def issue_client(self, name: str, into: Path, *, days: int = LEAF_DAYS) -> Issued:
        """Another client's certificate."""
        return self._issue(client_profile(name), name, into, days)

    def sign(
        self,
        profile: Profile,
        public_key: ec.EllipticCurvePublicKey,
        *,
        days: int = LEAF_DAYS,
        not_before: datetime | None = None,
    ) -> x509.Certificate:
        """Sign a leaf for a key that was born elsewhere, and keep a copy in `issued/`."""
        try:
            certificate = building.leaf(
                self.certificate, self._key, profile, public_key, days, not_before
            )
        except AuthorityUnusable as problem:
            raise AuthorityUnusable(f"{self.certificate_path}: {problem.detail}") from None
        self._record(certificate)
        return certificate

    def revoke(self, which: int | x509.Certificate) -> bool:
        """Put a certificate on the revocation list; False when it is there already.

        Raises UnknownCertificate for what this authority did not issue.
        """
        number = which if isinstance(which, int) else which.serial_number
        self._check_issued(which)
        with locked(self.directory):
            crl = self.revocations()
            if crl.get_revoked_certificate_by_serial_number(number) is not None:
                return False
            entry = building.revoked(number, datetime.now(UTC))
            last = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            self._write_crl([*crl, entry], number=last + 1)
        return True

    def revocations(self) -> x509.CertificateRevocationList:
        """The list as it is in the file, its signature checked."""
        try:
            crl = x509.load_pem_x509_crl(self.crl_path.read_bytes())
        except (OSError, ValueError) as error:
            raise AuthorityUnusable(f"{self.crl_path}: {_cause(error)}") from None
        if not crl.is_signature_valid(self._key.public_key()):
            raise AuthorityUnusable(f"{self.crl_path}: not signed by this authority")
        return crl

    def revoke_name(
        self, name: str, kind: Kind | None = None, *, keep: x509.Certificate | None = None
    ) -> list[int]:
        """Revoke every certificate of a name (and a kind) but `keep`; the numbers that are new.

        Raises UnknownCertificate where none of that name was ever issued.
        """
        named = [
            one
            for one in self.issued()
            if _common_name(one) == name and (kind is None or kind_of(one) == kind)
        ]
        if not named:
            raise UnknownCertificate(f"no certificate named {name} was issued by {self.name}")
        return [one.serial_number for one in named if one != keep and self.revoke(one)]

    def has_revoked(self, public_key: ec.EllipticCurvePublicKey) -> bool:
        """Whether a certificate for this key was revoked: whoever stole the key has it still."""
        revoked = {entry.serial_number for entry in self.revocations()}
        return any(
            one.serial_number in revoked and one.public_key() == public_key for one in self.issued()
        )

    def issued(self) -> list[x509.Certificate]:
        """Every certificate that this authority issued, the oldest first."""
        found = [_read_certificate(path) for path in self._issued_directory.glob("*.pem")]
        return sorted(found, key=lambda one: (one.not_valid_before_utc, one.serial_number))

    @property
    def _issued_directory(self) -> Path:
        return self.directory / ISSUED_DIRECTORY

    def _issue(self, profile: Profile, name: str, into: Path, days: int) -> Issued:
        into.mkdir(parents=True, exist_ok=True)
        stem = files.stem(name)
        certificate_path, key_path = into / f"{stem}.pem", into / f"{stem}.key"
        key = ec.generate_private_key(ec.SECP256R1())
        files.write_new(key_path, files.private_pem(key), files.PRIVATE)
        certificate = self.sign(profile, key.public_key(), days=days)
        files.replace(certificate_path, certificate.public_bytes(Encoding.PEM))
        return Issued(certificate, certificate_path, key_path)

    def _record(self, certificate: x509.Certificate) -> None:
        path = self._issued_directory / f"{certificate.serial_number:x}.pem"
        files.write_new(path, certificate.public_bytes(Encoding.PEM), files.PUBLIC)

    def _check_issued(self, which: int | x509.Certificate) -> None:
        if isinstance(which, int):
            if not (self._issued_directory / f"{which:x}.pem").exists():
                raise UnknownCertificate(f"no certificate {which:x} was issued by {self.name}")
            return
        try:
            which.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise UnknownCertificate(
                f"certificate {which.serial_number:x} was not issued by {self.name}"
            ) from None

    def _write_crl(self, entries: Sequence[x509.RevokedCertificate], number: int) -> None:
        crl = building.revocation_list(self.certificate, self._key, entries, number)
        files.replace(self.crl_path, crl.public_bytes(Encoding.PEM))


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AuthorityUnusable(f"{path}: {_cause(error)}") from None


def _cause(error: Exception) -> str:
    # A parser's text may quote what it read; only the operating system's is passed on.
    return error.strerror or "cannot be read" if isinstance(error, OSError) else "is not PEM"
