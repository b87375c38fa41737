"""An issuing authority for tests, and devices that enrol by hand: a key, a request, a proof."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from steelyard.pki.authority import Authority
from steelyard.pki.claims import ClaimCode, prove
from steelyard.registry.enrolment_settings import EnrolmentSettings


def make_settings(directory: Path, **changes: Any) -> EnrolmentSettings:
    """Settings with an authority for devices alone, made in the directory."""
    authority = Authority.create(directory, "Test devices", nameless=True)
    values = {
        "authority_file": authority.certificate_path,
        "authority_key_file": authority.directory / "authority.key",
        "tickets_url": "https://tickets.test:8444",
    }
    return EnrolmentSettings(**(values | changes))


@dataclass
class FreshDevice:
    """A device with a key of its own; `serial` is what its requests say."""

    serial: str | None = None
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def request(self) -> x509.CertificateSigningRequest:
        names = [x509.NameAttribute(NameOID.COMMON_NAME, self.serial)] if self.serial else []
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
        return builder.sign(self.key, hashes.SHA256())

    def pem(self) -> str:
        return self.request().public_bytes(Encoding.PEM).decode()

    def body(self, code: str) -> dict[str, str]:
        """The body of its enrolment with a claim code."""
        parsed = ClaimCode.parse(code)
        assert parsed is not None
        request = self.request()
        return {
            "claim": parsed.locator,
            "request": request.public_bytes(Encoding.PEM).decode(),
            "proof": prove(parsed.key(), request.public_bytes(Encoding.DER)).hex(),
        }


def wrong(code: str) -> str:
    """A code with the same locator and another secret."""
    return code[:-1] + ("0" if code[-1] != "0" else "1")
