"""TLS 1.3 for servers, with certificates that can be renewed while the server runs."""

import ssl
from pathlib import Path

import structlog

from steelyard.errors import ConfigurationError
from steelyard.secret_files import check_private

logger = structlog.get_logger(__name__)


class ServerCertificate:
    """A server's certificate and key, and the TLS context that uses them.

    `reload_if_changed` takes new files for new connections; open ones go on as they are.
    """

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self._certificate = certificate
        self._private_key = private_key
        self._seen = self._stamp()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.set_alpn_protocols(["http/1.1"])
        self._load(self.context)

    def reload_if_changed(self) -> bool:
        """Whether new files were taken; if they do not fit together, the old ones stay in use."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            self._seen = stamp
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except ConfigurationError as problem:
            logger.warning("certificate not reloaded", reason=str(problem))
            return False
        logger.info("certificate reloaded", file=str(self._certificate))
        return True

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        stamps = []
        for path in (self._certificate, self._private_key):
            try:
                status = path.stat()
            except OSError as error:
                raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
            # With the mode: a key that was refused for it is taken once that is mended.
            stamps.append((status.st_mtime_ns, status.st_ino, status.st_mode))
        return tuple(stamps)

    def _load(self, context: ssl.SSLContext) -> None:
        check_private(self._private_key, "private_key")
        try:
            # An empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(self._certificate, self._private_key, password=lambda: b"")
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"{self._certificate} and {self._private_key} are not a certificate and its "
                f"unencrypted key in PEM: {error.reason or 'unreadable'}"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"{error.filename or self._private_key}: cannot be read: {error.strerror}"
            ) from None
