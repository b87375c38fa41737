"""A fresh device's directory: its key and request first, and the rest all at once.

Until the platform has answered, `DIRECTORY.enrolling` holds the key. Then everything is written
there, and the directory gets its name: it is there whole, or not at all. Who is interrupted
begins again with the same key, for which the same claim code is good.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from steelyard.pki import files
from steelyard.pki.claims import ClaimCode, is_sealed, prove
from steelyard.pki.errors import FileExists, KeyUnusable, RequestRefused
from steelyard.pki.holding import Holding, check_issued, load_certificate, load_revocations
from steelyard.pki.issuing import request_for
from steelyard.pki.requests import Place, make_request, read_key

STEM = "device"
AUTHORITY_FILE = "devices-ca.pem"
REVOCATIONS_FILE = "devices-crl.pem"


@dataclass(frozen=True, slots=True)
class Papers:
    """What the platform gave: certificate, authority, revocation list in DER, and their seal."""

    certificate: bytes
    authority: bytes
    revocations: bytes
    seal: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FreshDevice:
    """A device that is being enrolled into a directory."""

    into: Path
    code: ClaimCode

    @property
    def _pending(self) -> Path:
        return self.into.with_name(self.into.name + ".enrolling")

    @property
    def holding(self) -> Holding:
        """Where its files are in the end."""
        place = Place(self.into, STEM)
        return Holding(
            place.file("pem"),
            place.file("key"),
            self.into / AUTHORITY_FILE,
            self.into / REVOCATIONS_FILE,
        )

    def request(self, serial: str | None) -> x509.CertificateSigningRequest:
        """The request, for a key that is made here once. Raises FileExists, KeyUnusable."""
        try:
            if self.into.exists() and any(self.into.iterdir()):
                raise FileExists(f"{self.into} is there already and is not overwritten")
            self._pending.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = make_request(Place(self._pending, STEM), request_for(serial))
            return x509.load_pem_x509_csr(path.read_bytes())
        except OSError as error:
            raise KeyUnusable(f"{error.filename or self._pending}: {error.strerror}") from None

    def proof(self, request: x509.CertificateSigningRequest) -> bytes:
        """The proof that this request comes from who has the code."""
        return prove(self.code.key(), request.public_bytes(Encoding.DER))

    def check(self, papers: Papers) -> x509.Certificate:
        """The certificate, once everything belongs together and to the code.

        Raises RequestRefused for papers that whoever made the code did not seal; KeyUnusable.
        """
        parts: Sequence[bytes] = (papers.certificate, papers.authority, papers.revocations)
        if not is_sealed(self.code.key(), parts, papers.seal):
            raise RequestRefused("the answer does not come from whoever made the claim code")
        certificate = load_certificate(papers.certificate)
        authority = load_certificate(papers.authority)
        check_issued(certificate, authority)
        load_revocations(papers.revocations, authority)
        key: ec.EllipticCurvePrivateKey = read_key(Place(self._pending, STEM).file("key"))
        if certificate.public_key() != key.public_key():
            raise KeyUnusable("the certificate is for another key than was asked for")
        return certificate

    def settle(self, papers: Papers, more: Mapping[str, tuple[bytes, int]]) -> None:
        """Write everything; `more` are further files with their modes. Raises KeyUnusable."""
        written = {
            f"{STEM}.pem": (_pem(load_certificate(papers.certificate)), files.PUBLIC),
            AUTHORITY_FILE: (_pem(load_certificate(papers.authority)), files.PUBLIC),
            REVOCATIONS_FILE: (
                x509.load_der_x509_crl(papers.revocations).public_bytes(Encoding.PEM),
                files.PUBLIC,
            ),
            **more,
        }
        try:
            for name, (content, mode) in written.items():
                files.replace(self._pending / name, content, mode)
            (self._pending / f"{STEM}.csr").unlink(missing_ok=True)
            os.rename(self._pending, self.into)  # noqa: PTH104 - onto an empty directory, too
            files.sync_directory(self.into.parent)
        except OSError as error:
            raise KeyUnusable(f"{error.filename or self.into}: {error.strerror}") from None


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
