"""The authority's side of a request: what is signed is what the operator said, never what it asks.

A request proves that its sender has the key, and shows the names that the host believes to have.
The names are compared with the operator's, so that a mix-up is noticed, and that is all they do.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from steelyard.pki.authority import LEAF_DAYS, Authority
from steelyard.pki.errors import RequestRefused
from steelyard.pki.profiles import Profile

MAX_BYTES = 16 * 1024
_BEGIN = b"-----BEGIN "


def read_request(pem: bytes) -> x509.CertificateSigningRequest:
    """One PEM request. Raises RequestRefused for anything else."""
    if len(pem) > MAX_BYTES:
        raise RequestRefused(f"a request must not be larger than {MAX_BYTES} bytes")
    if pem.count(_BEGIN) != 1:
        raise RequestRefused("the input must hold one PEM certificate request and nothing else")
    try:
        return x509.load_pem_x509_csr(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise RequestRefused("the input is no PEM certificate request") from None


def proven_key(request: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """The request's key, which its sender has. Raises RequestRefused."""
    try:
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise RequestRefused("the request's key must be on the curve P-256")
        if not isinstance(request.signature_hash_algorithm, hashes.SHA256):
            raise RequestRefused("the request must be signed with ECDSA and SHA-256")
        if not request.is_signature_valid:
            raise RequestRefused("the request's signature is not by its key: no proof of having it")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise RequestRefused("the request's key or signature cannot be read") from None
    return key


def asked_names(
    request: x509.CertificateSigningRequest,
) -> tuple[x509.Name, list[x509.Extension[x509.ExtensionType]]]:
    """The request's subject and extensions. Raises RequestRefused where they cannot be read."""
    try:
        return request.subject, list(request.extensions)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise RequestRefused("the request's names cannot be read") from None


def compare_names(request: x509.CertificateSigningRequest, profile: Profile) -> None:
    """Raise RequestRefused, with both sides, where a request asks for other names."""
    subject, extensions = asked_names(request)
    if subject != profile.subject:
        raise RequestRefused(
            f"the request is for {_shown(subject)}, and not for {_shown(profile.subject)}"
        )
    asked: set[x509.GeneralName] = set()
    for extension in extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            raise RequestRefused(
                "the request asks for more than names, which only the operator gives"
            )
        asked = set(extension.value)
    given = set(profile.alternative_names)
    if asked != given:
        raise RequestRefused(f"the request names {_listed(asked)}, and not {_listed(given)}")


def sign_request(
    authority: Authority, pem: bytes, profile: Profile, *, days: int = LEAF_DAYS
) -> x509.Certificate:
    """A certificate of this profile for the request's key. Raises RequestRefused."""
    request = read_request(pem)
    key = proven_key(request)
    compare_names(request, profile)
    if authority.has_revoked(key):
        raise RequestRefused("a certificate for this key was revoked: the host needs a new key")
    return authority.sign(profile, key, days=days)


def _shown(name: x509.Name) -> str:
    return name.rfc4514_string() or "nobody"


def _listed(names: set[x509.GeneralName]) -> str:
    return ", ".join(sorted(str(one.value) for one in names)) or "no host"
