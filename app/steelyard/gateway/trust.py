"""Who a certificate belongs to: in the handshake, and again at every request.

TLS looks at a certificate once. A connection may live for days, so what was revoked or has
expired meanwhile is found at the next request on it.
"""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from steelyard.certificate_files import WatchedFiles, load_pair, trust
from steelyard.errors import ConfigurationError
from steelyard.gateway.errors import ClientRefused
from steelyard.gateway.settings import GatewaySettings
from steelyard.web.tls import server_context

_REMEMBERED = 1024  # certificates that were looked at; a new one costs a signature's check


class Authorities:
    """Authorities with their revocation lists, as they were read together."""

    def __init__(
        self,
        authorities: Sequence[x509.Certificate],
        lists: Sequence[x509.CertificateRevocationList],
    ) -> None:
        self._authorities = tuple(authorities)
        self._lists = {one.issuer: one for one in lists}

    @classmethod
    def read(cls, authorities: Path, lists: Path | None) -> "Authorities":
        """Raises ConfigurationError for files that are not PEM, or do not belong together."""
        try:
            known = x509.load_pem_x509_certificates(authorities.read_bytes())
        except (OSError, ValueError):
            raise ConfigurationError(
                f"gateway.client_ca_file: {authorities} must hold certificates in PEM"
            ) from None
        return cls(known, [] if lists is None else _lists(lists, known))

    def check(self, certificate: x509.Certificate) -> None:
        """Raises ClientRefused unless one of the authorities signed it and does not revoke it."""
        issuer = next((one for one in self._authorities if _signed(one, certificate)), None)
        if issuer is None:
            raise ClientRefused("The certificate is not signed by an authority of the clients.")
        revoked = self._lists.get(issuer.subject)
        number = certificate.serial_number
        if revoked is not None and revoked.get_revoked_certificate_by_serial_number(number):
            raise ClientRefused("The certificate is revoked.")


class MutualTls:
    """The server's certificate, and the authorities of its clients; all renewed while it runs.

    A revocation list that was read cannot be taken out of a context of OpenSSL again, so each
    reading makes a context of its own, and a new connection is moved to the latest.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        files = [settings.certificate, settings.private_key, settings.client_ca_file]
        if settings.client_crl_file is not None:
            files.append(settings.client_crl_file)
        self._files = WatchedFiles("certificates", *files)
        self._latest, self._authorities, self._expires = self._read()
        self._names: dict[bytes, tuple[str, datetime]] = {}
        self.context = self._latest
        self.context.sni_callback = self._to_latest

    def reload_if_changed(self) -> bool:
        """Whether new files were taken; if they do not fit together, the old ones stay in use."""
        return self._files.read_if_changed(self._take)

    def _take(self) -> None:
        self._latest, self._authorities, self._expires = self._read()
        self._names.clear()

    @property
    def expires(self) -> datetime:
        """When the gateway's own certificate does."""
        return self._expires

    def name_of(self, certificate: bytes) -> str:
        """The common name of a client's certificate (DER). Raises ClientRefused."""
        name, until = self._names.get(certificate) or self._look_at(certificate)
        if datetime.now(UTC) > until:
            raise ClientRefused("The certificate has expired.")
        return name

    def _look_at(self, encoded: bytes) -> tuple[str, datetime]:
        certificate = x509.load_der_x509_certificate(encoded)
        self._authorities.check(certificate)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if len(names) != 1:
            raise ClientRefused("The certificate must have one common name.")
        if len(self._names) >= _REMEMBERED:
            self._names.clear()
        found = str(names[0].value), certificate.not_valid_after_utc
        self._names[encoded] = found
        return found

    def _read(self) -> tuple[ssl.SSLContext, Authorities, datetime]:
        settings = self._settings
        authorities = Authorities.read(settings.client_ca_file, settings.client_crl_file)
        context = server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        # Without tickets every connection is a whole handshake, which looks at the certificate.
        context.num_tickets = 0
        load_pair(context, settings.certificate, settings.private_key, "gateway.private_key")
        trust(context, settings.client_ca_file, "gateway.client_ca_file")
        if settings.client_crl_file is not None:
            trust(context, settings.client_crl_file, "gateway.client_crl_file")
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        own = x509.load_pem_x509_certificate(settings.certificate.read_bytes())
        return context, authorities, own.not_valid_after_utc

    def _to_latest(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        del name
        connection.context = self._latest


def _signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _lists(
    path: Path, authorities: Sequence[x509.Certificate]
) -> list[x509.CertificateRevocationList]:
    """One list of each authority, and of no other."""
    mark = b"-----END X509 CRL-----"
    try:
        parts = path.read_bytes().split(mark)[:-1]
        lists = [x509.load_pem_x509_crl(part + mark) for part in parts]
    except (OSError, ValueError):
        raise ConfigurationError(
            f"gateway.client_crl_file: {path} must hold revocation lists in PEM"
        ) from None
    for authority in authorities:
        own = [one for one in lists if one.issuer == authority.subject]
        key = authority.public_key()
        if len(own) != 1 or not own[0].is_signature_valid(key):  # type: ignore[arg-type]
            raise ConfigurationError(
                f"gateway.client_crl_file: {path} must hold one list of each authority in "
                f"{authority.subject.rfc4514_string()!r} and the others of client_ca_file"
            )
    return lists
