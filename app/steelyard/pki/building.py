"""How certificates and revocation lists are made, wherever the authority keeps its books.

P-256 throughout (RFC 7252, section 9.1.3.3). Leaf certificates stay short, because a load cell
sends its own in a handful of datagrams: a 71-bit serial number and an 8-byte key identifier.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from steelyard.pki.errors import AuthorityUnusable
from steelyard.pki.profiles import Profile

# A device without a battery-backed clock starts late: a fresh certificate must not look unborn.
BACKDATING = timedelta(hours=1)


def leaf(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    profile: Profile,
    public_key: ec.EllipticCurvePublicKey,
    days: int,
    not_before: datetime | None = None,
) -> x509.Certificate:
    """A certificate of this profile. Its validity never leaves the authority's own.

    Raises AuthorityUnusable when that is over.
    """
    now = datetime.now(UTC)
    start = max(not_before or now - BACKDATING, issuer.not_valid_before_utc)
    end = min((not_before or now) + timedelta(days=days), issuer.not_valid_after_utc)
    if end <= start:
        raise AuthorityUnusable(f"expired {end:%Y-%m-%d}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(profile.subject)
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(profile.purposes), critical=False)
        .add_extension(_authority_key_identifier(issuer), critical=False)
    )
    if profile.alternative_names:
        names = x509.SubjectAlternativeName(profile.alternative_names)
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def self_signed(
    key: ec.EllipticCurvePrivateKey, name: str, days: int, *, nameless: bool = False
) -> x509.Certificate:
    """An authority's own certificate; for `nameless` see `is_nameless`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public_key = key.public_key()
    point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)
        .serial_number(random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(hashlib.sha256(point).digest()[:8]), False)
    )
    if nameless:
        builder = builder.add_extension(_no_names(), critical=True)
    return builder.sign(key, hashes.SHA256())


def is_nameless(authority: x509.Certificate) -> bool:
    """Whether its certificates are good for no DNS name and no address (RFC 5280, 4.2.1.10).

    Who holds its key can then pose as a device of a station, and as no host.
    """
    try:
        found = authority.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return False
    wanted = _no_names().excluded_subtrees or []
    return found.critical and set(wanted) <= set(found.value.excluded_subtrees or [])


def revoked(serial_number: int, moment: datetime) -> x509.RevokedCertificate:
    """An entry of a revocation list."""
    builder = x509.RevokedCertificateBuilder().serial_number(serial_number)
    return builder.revocation_date(moment).build()


def revocation_list(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    entries: Iterable[x509.RevokedCertificate],
    number: int,
) -> x509.CertificateRevocationList:
    """The authority's list. `number` must be higher than that of any list before."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(max(datetime.now(UTC) - BACKDATING, issuer.not_valid_before_utc))
        # A station may be offline for weeks: its list must not stop all weighing by growing
        # stale, so it lasts as long as the authority (docs/decisions/coap-revocation.md).
        .next_update(issuer.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_key_identifier(issuer), critical=False)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer_key, hashes.SHA256())


def random_serial_number() -> int:
    """71 random bits: more than the 64 that are asked of public authorities, in 9 bytes."""
    return (1 << 70) | secrets.randbits(70)


def _no_names() -> x509.NameConstraints:
    everything: list[x509.GeneralName] = [
        x509.DNSName(""),
        x509.IPAddress(ip_network("0.0.0.0/0")),
        x509.IPAddress(ip_network("::/0")),
    ]
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=everything)


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _key_usage(*, digital_signature: bool = False, authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
