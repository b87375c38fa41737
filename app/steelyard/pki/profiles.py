"""What each kind of certificate says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, get_args

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from steelyard.pki.errors import InvalidSubject
from steelyard.pki.names import LOADCELL_URN, SERIAL_RULE, SMARTBOX_URN, device_urn, is_serial

Kind = Literal["server", "client", "peer", "smartbox", "loadcell"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_DEVICES = {"smartbox", "loadcell"}
_SERVERS = {"server", "peer", "smartbox"}
MAX_NAME = 64  # ub-common-name and ub-organization-name, RFC 5280 appendix A.1
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Profile:
    """The subject, alternative names and purposes of a leaf certificate."""

    subject: x509.Name
    alternative_names: tuple[x509.GeneralName, ...]
    purposes: tuple[ObjectIdentifier, ...]


def server_profile(name: str, hosts: Sequence[str]) -> Profile:
    """A server reached under DNS names and IP addresses (at least one)."""
    if not hosts:
        raise InvalidSubject("a server certificate needs at least one DNS name or IP address")
    names = tuple(host_name(host) for host in hosts)
    return Profile(_subject(name), names, (ExtendedKeyUsageOID.SERVER_AUTH,))


def smartbox_profile(serial: str, hosts: Sequence[str], station: str) -> Profile:
    """A SmartBox as the server that its load cells speak to: never good as a client's."""
    _check_serial("SmartBox", serial)
    urn = x509.UniformResourceIdentifier(device_urn(SMARTBOX_URN, serial))
    names = (urn, *(host_name(host) for host in hosts))
    return Profile(_subject(serial, station), names, (ExtendedKeyUsageOID.SERVER_AUTH,))


def loadcell_profile(serial: str, station: str) -> Profile:
    """A load cell, a client; its serial is the common name and the URN."""
    _check_serial("load cell", serial)
    urn = x509.UniformResourceIdentifier(device_urn(LOADCELL_URN, serial))
    return Profile(_subject(serial, station), (urn,), (ExtendedKeyUsageOID.CLIENT_AUTH,))


def client_profile(name: str) -> Profile:
    """A client that is no load cell."""
    return Profile(_subject(name), (), (ExtendedKeyUsageOID.CLIENT_AUTH,))


def peer_profile(name: str, hosts: Sequence[str]) -> Profile:
    """A host that both serves and calls the others of its kind: the ledger's nodes."""
    if not hosts:
        raise InvalidSubject("a peer certificate needs at least one DNS name or IP address")
    names = tuple(host_name(host) for host in hosts)
    both = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    return Profile(_subject(name), names, both)


def profile_of(kind: Kind, name: str, hosts: Sequence[str], station: str | None) -> Profile:
    """The profile of a kind; InvalidSubject for what the kind has no place for, or lacks."""
    if kind in _DEVICES and station is None:
        raise InvalidSubject(f"a {kind} certificate needs its station")
    if kind not in _DEVICES and station is not None:
        raise InvalidSubject(f"a {kind} certificate has no station")
    if kind not in _SERVERS and hosts:
        raise InvalidSubject(f"a {kind} certificate has no DNS names or IP addresses")
    if kind == "smartbox":
        return smartbox_profile(name, hosts, station or "")
    if kind == "loadcell":
        return loadcell_profile(name, station or "")
    if kind == "client":
        return client_profile(name)
    return server_profile(name, hosts) if kind == "server" else peer_profile(name, hosts)


def kind_of(certificate: x509.Certificate) -> Kind | None:
    """What kind a certificate is of, by its purposes and URN; None where it is of none."""
    try:
        usage = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None
    urns = " ".join(_urns(certificate))
    if urns.startswith(SMARTBOX_URN):
        return "smartbox"
    if urns.startswith(LOADCELL_URN):
        return "loadcell"
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    kinds: dict[frozenset[ObjectIdentifier], Kind] = {
        frozenset({server}): "server",
        frozenset({client}): "client",
        frozenset({server, client}): "peer",
    }
    return kinds.get(frozenset(usage))


def _urns(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _subject(name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, check_name("name", name))]
    if organization is not None:
        station = check_name("station", organization)
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, station))
    return x509.Name(attributes)


def check_name(what: str, value: str) -> str:
    """A name that a certificate can carry; InvalidSubject otherwise."""
    if not value.isprintable() or value != value.strip() or not 1 <= len(value) <= MAX_NAME:
        raise InvalidSubject(
            f"{what}: must be 1 to {MAX_NAME} printable characters without blanks at either end"
        )
    return value


def _check_serial(what: str, serial: str) -> None:
    if not is_serial(serial):
        raise InvalidSubject(f"{what} serial: must be {SERIAL_RULE}")


def host_name(host: str) -> x509.GeneralName:
    """A DNS name or an IP address as a certificate has it; InvalidSubject otherwise."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    lower = host.lower()
    if len(lower) > 253 or not _HOST.fullmatch(lower) or lower.rsplit(".", 1)[-1].isdigit():
        raise InvalidSubject(f"host {host!r}: must be a DNS name or an IP address")
    return x509.DNSName(lower)
