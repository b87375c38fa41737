"""The devices' issuing authority: a key and a certificate that sign, without books of their own.

Who uses it keeps what was issued and revoked (the management API: in the entity database). See
docs/decisions/enrolment-authority.md for why it is an authority of its own, and what it may not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from steelyard.pki import building
from steelyard.pki.errors import AuthorityUnusable, KeyUnusable, RequestRefused
from steelyard.pki.profiles import Profile
from steelyard.pki.requests import read_key
from steelyard.pki.signing import asked_names


@dataclass(frozen=True, slots=True)
class DeviceIssuer:
    """Signs for devices, and only what its caller says."""

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> "DeviceIssuer":
        """Read it. Raises AuthorityUnusable, also for an authority that is good for more."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except OSError as error:
            raise AuthorityUnusable(f"{certificate_file}: {error.strerror}") from None
        except ValueError:
            raise AuthorityUnusable(f"{certificate_file}: is no PEM certificate") from None
        try:
            key = read_key(key_file)
        except KeyUnusable as problem:
            raise AuthorityUnusable(problem.detail) from None
        if key.public_key() != certificate.public_key():
            raise AuthorityUnusable(f"{key_file} does not belong to {certificate_file}")
        if not building.is_nameless(certificate):
            raise AuthorityUnusable(
                f"{certificate_file}: is no authority for devices alone: make one with "
                "`steelyard pki init --devices-only`, on the platform's host"
            )
        return cls(certificate, key)

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def sign(
        self, profile: Profile, public_key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.Certificate:
        """A certificate for a key. Raises AuthorityUnusable when the authority has expired."""
        return building.leaf(self.certificate, self._key, profile, public_key, days)

    def revocation_list(self, revoked: Mapping[int, datetime]) -> str:
        """The list of these serial numbers in PEM; a later one has a higher number."""
        entries = [building.revoked(number, at) for number, at in sorted(revoked.items())]
        number = int(datetime.now(UTC).timestamp() * 1000)
        crl = building.revocation_list(self.certificate, self._key, entries, number)
        return crl.public_bytes(Encoding.PEM).decode()


def check_device_request(request: x509.CertificateSigningRequest, serial: str) -> None:
    """Raise RequestRefused unless a device's request says its serial and nothing else, or nothing.

    A fresh device need not know its serial; one that says another is a mix-up.
    """
    subject, extensions = asked_names(request)
    said = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if extensions or len(said) != len(list(subject)) or len(said) > 1:
        raise RequestRefused("a device's request must name its serial, or nothing")
    if said and said[0].value != serial:
        raise RequestRefused(f"the request is for {said[0].value!s}, and not for {serial}")


def key_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as certificates have it (SubjectPublicKeyInfo, DER)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def request_for(serial: str | None) -> Profile:
    """What a device's request says: its serial, where it knows it."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, serial)] if serial else []
    return Profile(x509.Name(names), (), ())
