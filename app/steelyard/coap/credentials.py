"""The files of one end, and the OpenSSL context made of them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from steelyard.coap.errors import CredentialUnusable
from steelyard.coap.identity import CLIENT_PURPOSE, SERVER_PURPOSE, leaf_refusal, station_of
from steelyard.errors import ConfigurationError
from steelyard.secret_files import read_secret

# GCM first: it is what servers and cells of the Cortex-M4 class and up do fastest.
CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM"
# The suite that RFC 7252, section 9.1.3.3, makes mandatory. OpenSSL counts its 8-byte tags as 64
# bits of strength and has it at security level 0 only, which also lets SHA-1 signatures in: so
# it is not there unless a station has cells that know nothing else.
CIPHERS_WITH_CCM8 = CIPHERS + b":ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"
DTLS_1_2 = 0xFEFD
# Without it OpenSSL appends the root, which the peer has and a datagram network need not carry.
MODE_NO_AUTO_CHAIN = 0x8

_REASONS = {
    SSL.X509VerificationCodes.ERR_CERT_HAS_EXPIRED: "expired",
    SSL.X509VerificationCodes.ERR_CERT_REVOKED: "revoked",
    SSL.X509VerificationCodes.ERR_INVALID_PURPOSE: "wrong-purpose",
    SSL.X509VerificationCodes.ERR_UNABLE_TO_GET_CRL: "unknown-authority",
    SSL.X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT: "unknown-authority",
    SSL.X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "unknown-authority",
    SSL.X509VerificationCodes.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: "unknown-authority",
    SSL.X509VerificationCodes.ERR_CERT_SIGNATURE_FAILURE: "unknown-authority",
    SSL.X509VerificationCodes.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: "unknown-authority",
    SSL.X509VerificationCodes.ERR_SELF_SIGNED_CERT_IN_CHAIN: "unknown-authority",
    SSL.X509VerificationCodes.ERR_CRL_HAS_EXPIRED: "stale-revocations",
}


# Ours is the clock that is behind, then: our authorities sign nothing in advance, and a board
# without a battery begins where it stopped (docs/decisions/coap-revocation.md).
_EARLY = frozenset(
    {
        SSL.X509VerificationCodes.ERR_CERT_NOT_YET_VALID,
        SSL.X509VerificationCodes.ERR_CRL_NOT_YET_VALID,
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in PEM: one's certificate and key, the authority that the peer must come from, and
    that authority's revocation list (none: nothing is revoked).

    `ccm8` adds RFC 7252's mandatory cipher suite, for cells that have no other.
    """

    certificate: Path
    private_key: Path
    authority: Path
    revocations: Path | None = None
    ccm8: bool = False

    def fingerprint(self) -> tuple[object, ...]:
        """Changes when one of the files does."""
        return tuple(_stat(path) for path in self._paths())

    def revoked(self) -> frozenset[int]:
        """The serial numbers on the revocation list, its signature checked."""
        if self.revocations is None:
            return frozenset()
        crl = self._read_crl(self.revocations)
        return frozenset(entry.serial_number for entry in crl)

    def server_context(self) -> SSL.Context:
        """A context that asks every client for a certificate good for clients."""
        return self._context(SSL.DTLS_SERVER_METHOD)

    def client_context(self) -> SSL.Context:
        """A context that wants a server's certificate under the name in the connection's data.

        Where one's own certificate names a station, the server's must name the same.
        """
        station = station_of(self._certificates(self.certificate)[0])
        return self._context(SSL.DTLS_CLIENT_METHOD, station)

    def _paths(self) -> tuple[Path, ...]:
        paths = (self.certificate, self.private_key, self.authority)
        return paths if self.revocations is None else (*paths, self.revocations)

    def _context(self, method: int, station: str | None = None) -> SSL.Context:
        context = SSL.Context(method)
        context.set_min_proto_version(DTLS_1_2)
        context.set_max_proto_version(DTLS_1_2)
        context.set_cipher_list(CIPHERS_WITH_CCM8 if self.ccm8 else CIPHERS)
        context.set_tmp_ecdh(ec.SECP256R1())
        context.set_options(
            SSL.OP_NO_QUERY_MTU
            | SSL.OP_NO_TICKET
            | SSL.OP_NO_RENEGOTIATION
            | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_mode(MODE_NO_AUTO_CHAIN | SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        verify = partial(_verify, station)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        context.set_verify_depth(2)
        try:
            self._load_own(context)
            self._load_trust(context)
        except (SSL.Error, crypto.Error):
            raise CredentialUnusable(
                f"{self.certificate}, {self.authority}: OpenSSL does not take them"
            ) from None
        return context

    def _load_own(self, context: SSL.Context) -> None:
        certificate = self._certificates(self.certificate)[0]
        try:
            key = load_pem_private_key(_read_private(self.private_key), password=None)
        except (ValueError, TypeError):
            raise CredentialUnusable(f"{self.private_key}: is not a PEM private key") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CredentialUnusable(f"{self.private_key}: must be an elliptic curve key")
        if key.public_key() != certificate.public_key():
            raise CredentialUnusable(f"{self.private_key} does not belong to {self.certificate}")
        context.use_certificate(certificate)
        context.use_privatekey(key)

    def _load_trust(self, context: SSL.Context) -> None:
        store = context.get_cert_store()
        assert store is not None  # noqa: S101 -- a context always has one; this is for the checker
        for certificate in self._certificates(self.authority):
            store.add_cert(crypto.X509.from_cryptography(certificate))
        if self.revocations is not None:
            store.add_crl(self._read_crl(self.revocations))
            store.set_flags(crypto.X509StoreFlags.CRL_CHECK)

    def _certificates(self, path: Path) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(_read(path))
        except ValueError:
            raise CredentialUnusable(f"{path}: is not a PEM certificate") from None

    def _read_crl(self, path: Path) -> x509.CertificateRevocationList:
        try:
            crl = x509.load_pem_x509_crl(_read(path))
        except ValueError:
            raise CredentialUnusable(f"{path}: is not a PEM revocation list") from None
        if not any(_signed(crl, one) for one in self._certificates(self.authority)):
            raise CredentialUnusable(f"{path}: is not signed by an authority in {self.authority}")
        return crl


@dataclass(slots=True)
class ConnectionData:
    """What rides on an OpenSSL connection into its callbacks.

    `refusal` is why this end refused the other's certificate, once it did.
    """

    address: bytes = b""
    server_name: str | None = None
    is_client: bool = False
    refusal: str | None = None


def _verify(
    station: str | None,
    connection: SSL.Connection,
    certificate: crypto.X509,
    error_number: int,
    depth: int,
    accepted: int,
) -> bool:
    data: ConnectionData = connection.get_app_data()
    if not accepted and error_number not in _EARLY:
        data.refusal = _REASONS.get(error_number, "bad-certificate")
        return False
    if depth == 0:
        purpose = SERVER_PURPOSE if data.is_client else CLIENT_PURPOSE
        leaf = certificate.to_cryptography()
        data.refusal = leaf_refusal(leaf, purpose, data.server_name, station)
    return data.refusal is None


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and crl.is_signature_valid(key)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialUnusable(f"{path}: {error.strerror}") from None


def _read_private(path: Path) -> bytes:
    try:
        return read_secret(path, "the private key")
    except ConfigurationError as problem:
        raise CredentialUnusable(problem.detail) from None


def _stat(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode
