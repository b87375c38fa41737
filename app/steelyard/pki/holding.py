"""A device's own certificate while it is in use: when it is to be renewed, and with what.

Imported by load cells: nothing heavy here. A certificate is renewed for its key, so that only one
file changes, in one step: no process ever meets a pair that does not belong together.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.pki import files
from steelyard.pki.errors import KeyUnusable
from steelyard.pki.requests import read_key

# RFC 9148, section 4.3 (RFC 7252's registry): PKCS #10, a single certificate.
FORMAT_REQUEST = 286
FORMAT_CERTIFICATE = 287
RENEWAL_PATH = (".well-known", "est", "sren")
REVOCATIONS_PATH = ("revocations",)
_RENEW_AFTER_PART = 3


@dataclass(frozen=True, slots=True)
class Holding:
    """The files of a device that renews its certificate: all in PEM."""

    certificate: Path
    private_key: Path
    authority: Path
    revocations: Path

    def own(self) -> x509.Certificate:
        """The certificate in use. Raises KeyUnusable."""
        return _read_certificate(self.certificate)

    def is_due(self, now: datetime) -> bool:
        """Whether a third of its life has passed. Raises KeyUnusable."""
        own = self.own()
        life = own.not_valid_after_utc - own.not_valid_before_utc
        return now >= own.not_valid_before_utc + life / _RENEW_AFTER_PART

    def left(self, now: datetime) -> timedelta:
        """How long it is still good. Raises KeyUnusable."""
        return self.own().not_valid_after_utc - now

    def request(self) -> x509.CertificateSigningRequest:
        """A request for the key in use: signing it proves that one has the key."""
        key = read_key(self.private_key)
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return builder.sign(key, hashes.SHA256())

    def take(self, der: bytes) -> bool:
        """Put a renewed certificate in the old one's place; False when it is the same.

        Raises KeyUnusable when it is not the authority's, or says anything else than the old one.
        """
        old = self.own()
        new = load_certificate(der)
        if new == old:
            return False
        check_issued(new, _read_certificate(self.authority))
        if new.public_key() != old.public_key() or new.subject != old.subject:
            raise KeyUnusable("the renewed certificate is for another key or another device")
        files.replace(self.certificate, new.public_bytes(Encoding.PEM))
        return True

    def take_revocations(self, der: bytes) -> bool:
        """Put a new revocation list in the old one's place; False when it lists the same.

        Raises KeyUnusable when it is not the authority's.
        """
        new = load_revocations(der, _read_certificate(self.authority))
        if self.revoked() == {entry.serial_number for entry in new}:
            return False
        files.replace(self.revocations, new.public_bytes(Encoding.PEM))
        return True

    def revoked(self) -> set[int] | None:
        """The serial numbers on the list; None where it cannot be read."""
        try:
            return {
                entry.serial_number
                for entry in x509.load_pem_x509_crl(self.revocations.read_bytes())
            }
        except (OSError, ValueError):
            return None

    def is_revoked(self) -> bool:
        """Whether one's own certificate is on the list. Raises KeyUnusable."""
        return self.own().serial_number in (self.revoked() or set())


def load_certificate(der: bytes) -> x509.Certificate:
    """A certificate that came over the wire. Raises KeyUnusable."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise KeyUnusable("what came is no certificate") from None


def load_revocations(der: bytes, authority: x509.Certificate) -> x509.CertificateRevocationList:
    """A revocation list that came over the wire. Raises KeyUnusable, also for another's."""
    try:
        crl = x509.load_der_x509_crl(der)
        key = authority.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not crl.is_signature_valid(key):
            raise KeyUnusable("the revocation list is not the authority's")
    except (ValueError, TypeError):
        raise KeyUnusable("what came is no revocation list") from None
    return crl


def check_issued(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    """Raise KeyUnusable for a certificate of another authority, or one that is not good now."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise KeyUnusable("the certificate was not issued by the authority") from None
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise KeyUnusable("the certificate has expired: is this clock right?")


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from None
    except ValueError:
        raise KeyUnusable(f"{path}: is no PEM certificate") from None
