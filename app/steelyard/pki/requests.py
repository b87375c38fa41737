"""A host's side of its certificates: keys that are born there, requests, and taking into use.

`NAME.key` and `NAME.pem` are what services read. A new key waits as `NAME.new.key` until its
certificate is there; then both change, and a power cut between the two is made good by the next
call.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from steelyard.errors import ConfigurationError
from steelyard.pki import files
from steelyard.pki.errors import KeyUnusable
from steelyard.pki.profiles import Profile
from steelyard.secret_files import locked, read_secret


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one certificate in a directory."""

    directory: Path
    stem: str

    @classmethod
    def of(cls, directory: Path, name: str) -> "Place":
        """Where the certificate of this name is; the file's name holds no path."""
        return cls(directory, files.stem(name))

    def file(self, suffix: str, *, new: bool = False) -> Path:
        """`NAME.suffix`, or `NAME.new.suffix` of what is not in use yet."""
        return self.directory / f"{self.stem}{'.new' if new else ''}.{suffix}"


def make_request(place: Place, profile: Profile, *, rekey: bool = False) -> Path:
    """Write a request for a key that is made where there is none; the request's path.

    With `rekey` it is for a new key, and the one in use stays until the certificate is installed.
    Raises KeyUnusable for a key that is there and is none of ours.
    """
    place.directory.mkdir(parents=True, exist_ok=True)
    with locked(place.directory):
        _finish(place)
        new = rekey and place.file("key").exists()
        path = place.file("key", new=new)
        if not path.exists():
            fresh = ec.generate_private_key(ec.SECP256R1())
            files.write_new(path, files.private_pem(fresh), files.PRIVATE)
        key = read_key(path)
        request = x509.CertificateSigningRequestBuilder().subject_name(profile.subject)
        if profile.alternative_names:
            names = x509.SubjectAlternativeName(profile.alternative_names)
            request = request.add_extension(names, critical=False)
        content = request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        files.replace(place.file("csr", new=new), content)
        return place.file("csr", new=new)


def install(place: Place, certificate_pem: bytes, authority: x509.Certificate) -> bool:
    """Take a certificate into use with the key that it is for; whether that is a new key.

    Raises KeyUnusable for a certificate that is not the authority's, or not for a key in the place.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise KeyUnusable("what was to be installed is no PEM certificate") from None
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise KeyUnusable("the certificate was not issued by the authority") from None
    content = certificate.public_bytes(Encoding.PEM)
    with locked(place.directory):
        _finish(place)
        if _is_for(place.file("key", new=True), certificate):
            files.replace(place.file("pem", new=True), content)
            _finish(place)
            return True
        if not _is_for(place.file("key"), certificate):
            raise KeyUnusable(f"the certificate is for another key than {place.file('key')}")
        files.replace(place.file("pem"), content)
        return False


def _finish(place: Place) -> None:
    """Put a new key and its certificate into use, from wherever a power cut left it."""
    waiting, new_key, key = (
        place.file("pem", new=True),
        place.file("key", new=True),
        place.file("key"),
    )
    if not waiting.exists():
        return
    certificate = x509.load_pem_x509_certificate(waiting.read_bytes())
    if _is_for(new_key, certificate):
        if key.exists() and os.geteuid() == 0:
            # The service's user goes on reading it.
            owner = key.stat()
            os.chown(new_key, owner.st_uid, owner.st_gid)
        files.move(new_key, key)
    if _is_for(key, certificate):
        files.move(waiting, place.file("pem"))
        place.file("csr", new=True).unlink(missing_ok=True)
    else:
        waiting.unlink()


def _is_for(path: Path, certificate: x509.Certificate) -> bool:
    return path.exists() and read_key(path).public_key() == certificate.public_key()


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A P-256 key that only its owner may read. Raises KeyUnusable."""
    try:
        key = load_pem_private_key(read_secret(path, "the private key"), password=None)
    except ConfigurationError as problem:
        raise KeyUnusable(problem.detail) from None
    except (ValueError, TypeError):
        raise KeyUnusable(f"{path}: is not a PEM private key without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyUnusable(f"{path}: must be a key on the curve P-256")
    return key
