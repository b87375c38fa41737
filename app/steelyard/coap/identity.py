"""Who a certificate speaks for."""

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from steelyard.pki.names import LOADCELL_URN, SMARTBOX_URN, device_serial

CLIENT_PURPOSE = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_PURPOSE = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """What the peer's verified certificate says.

    `cell_serial` is None for a certificate that is not a load cell's; `station` is the subject's
    organization.
    """

    name: str
    cell_serial: str | None
    station: str | None
    certificate_serial: int
    not_after: datetime


def read_identity(certificate: x509.Certificate) -> PeerIdentity:
    """The identity in a certificate whose chain was verified already."""
    name = _first(certificate.subject, NameOID.COMMON_NAME) or ""
    serials = {
        serial
        for urn in _alternative_names(certificate, x509.UniformResourceIdentifier)
        if (serial := device_serial(LOADCELL_URN, urn)) is not None
    }
    # The two places where the serial stands must agree, or it is nobody's.
    cell_serial = name if serials == {name} else None
    return PeerIdentity(
        name=name,
        cell_serial=cell_serial,
        station=station_of(certificate),
        certificate_serial=certificate.serial_number,
        not_after=certificate.not_valid_after_utc,
    )


def station_of(certificate: x509.Certificate) -> str | None:
    """The station that a certificate names, as its subject's organization."""
    return _first(certificate.subject, NameOID.ORGANIZATION_NAME)


def leaf_refusal(
    certificate: x509.Certificate,
    purpose: ObjectIdentifier,
    server_name: str | None,
    station: str | None,
) -> str | None:
    """Why a verified leaf is refused all the same, as a short word; None when it is accepted.

    `server_name` and `station` are what it must name, where they are given.
    OpenSSL takes a certificate without an extended key usage for any purpose, and leaves the
    server's name to its caller; neither is good enough here.
    """
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return "wrong-key"
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "wrong-purpose"
    if purpose not in usage:
        return "wrong-purpose"
    if server_name is not None and not _is_named(certificate, server_name):
        return "wrong-name"
    if station is not None and station_of(certificate) != station:
        return "wrong-station"
    return None


def _is_named(certificate: x509.Certificate, wanted: str) -> bool:
    if wanted == SMARTBOX_URN:
        # Any SmartBox: its station is compared as well, so a cell takes one that was replaced.
        urns = _alternative_names(certificate, x509.UniformResourceIdentifier)
        return any(device_serial(SMARTBOX_URN, urn) is not None for urn in urns)
    if ":" in wanted and wanted.startswith("urn:"):
        return wanted in _alternative_names(certificate, x509.UniformResourceIdentifier)
    try:
        address = ip_address(wanted)
    except ValueError:
        names = _alternative_names(certificate, x509.DNSName)
        return wanted.lower() in {name.lower() for name in names}
    return str(address) in _alternative_names(certificate, x509.IPAddress)


def _alternative_names(certificate: x509.Certificate, kind: type[x509.GeneralName]) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names if isinstance(name, kind)]


def _first(name: x509.Name, kind: ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(kind)
    return str(found[0].value) if found else None
