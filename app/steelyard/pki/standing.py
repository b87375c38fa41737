"""How a certificate stands: in use, to be renewed, bad or revoked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from steelyard.pki.profiles import Profile


class Standing(IntEnum):
    """The exit status of `steelyard pki check`; 1 and 2 are the program's own failures."""

    VALID = 0
    RENEW = 3
    BAD = 4
    REVOKED = 5


@dataclass(frozen=True, slots=True)
class Expected:
    """What a certificate is compared with; what is None is not looked at.

    `days`: it is to be renewed with fewer days left; None: with less than a third of its life.
    """

    profile: Profile | None = None
    names: tuple[x509.GeneralName, ...] = ()
    revocations: x509.CertificateRevocationList | None = None
    key: object = None
    days: int | None = None


def standing(
    certificate: x509.Certificate, authority: x509.Certificate, expected: Expected, now: datetime
) -> tuple[Standing, str]:
    """How it stands, and a sentence of why. The worst comes first."""
    if (reason := _forged(certificate, authority, expected)) is not None:
        return Standing.BAD, reason
    crl = expected.revocations
    if crl and crl.get_revoked_certificate_by_serial_number(certificate.serial_number):
        return Standing.REVOKED, f"{certificate.serial_number:x} was revoked"
    last = min(certificate.not_valid_after_utc, authority.not_valid_after_utc)
    if not certificate.not_valid_before_utc <= now <= last:
        return Standing.BAD, (
            f"it is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to {last:%Y-%m-%d}"
        )
    if (reason := _other_names(certificate, expected)) is not None:
        return Standing.BAD, reason
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    enough = life / 3 if expected.days is None else timedelta(days=expected.days)
    told = f"{(last - now).days} days left, until {last:%Y-%m-%d}"
    return (Standing.RENEW if last - now < enough else Standing.VALID), told


def _forged(
    certificate: x509.Certificate, authority: x509.Certificate, expected: Expected
) -> str | None:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return "it was not issued by this authority"
    if expected.key is not None and certificate.public_key() != expected.key:
        return "it is for another key"
    issuer_key = authority.public_key()
    crl = expected.revocations
    if crl is not None and not (
        isinstance(issuer_key, ec.EllipticCurvePublicKey) and crl.is_signature_valid(issuer_key)
    ):
        return "the revocation list is not this authority's"
    return None


def _other_names(certificate: x509.Certificate, expected: Expected) -> str | None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = set(extension.value)
    except x509.ExtensionNotFound:
        names = set()
    for name in expected.names:
        if name not in names:
            return f"it does not name {name.value}"
    profile = expected.profile
    if profile is None:
        return None
    if certificate.subject != profile.subject or names != set(profile.alternative_names):
        return "it has other names"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "it says nothing of its purpose"
    return None if set(usage) == set(profile.purposes) else "it is for another purpose"
