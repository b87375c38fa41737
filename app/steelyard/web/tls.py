"""TLS 1.3 for servers, with certificates that can be renewed while the server runs."""

import ssl
from pathlib import Path
from typing import Protocol

import structlog

from steelyard.certificate_files import load_pair, stamp
from steelyard.errors import ConfigurationError

logger = structlog.get_logger(__name__)


class Certificate(Protocol):
    """What a server needs of a certificate, however it checks its clients."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context for every connection, always the same."""
        ...

    def reload_if_changed(self) -> bool:
        """Whether new files were taken; when they are not usable, the old ones stay in use."""
        ...


def server_context() -> ssl.SSLContext:
    """A context without a certificate as yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


class ServerCertificate:
    """A server's certificate and key, and the TLS context that uses them.

    `reload_if_changed` takes new files for new connections; open ones go on as they are.
    """

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self._certificate = certificate
        self._private_key = private_key
        self._seen = stamp(certificate, private_key)
        self.context = server_context()
        load_pair(self.context, certificate, private_key, "private_key")

    def reload_if_changed(self) -> bool:
        """Whether new files were taken; if they do not fit together, the old ones stay in use."""
        pair = self._certificate, self._private_key
        try:
            seen = stamp(*pair)
            if seen == self._seen:
                return False
            self._seen = seen
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *pair, "private_key")
            load_pair(self.context, *pair, "private_key")
        except ConfigurationError as problem:
            logger.warning("certificate not reloaded", reason=str(problem))
            return False
        logger.info("certificate reloaded", file=str(self._certificate))
        return True
