"""TLS 1.3 for servers, with certificates that can be renewed while the server runs."""

import ssl
from pathlib import Path
from typing import Protocol

from steelyard.certificate_files import WatchedFiles, load_pair


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
        self._files = WatchedFiles("certificate", certificate, private_key)
        self.context = server_context()
        load_pair(self.context, certificate, private_key, "private_key")

    def reload_if_changed(self) -> bool:
        """Whether new files were taken; if they do not fit together, the old ones stay in use."""
        return self._files.read_if_changed(self._take, file=str(self._certificate))

    def _take(self) -> None:
        # First into a context that nobody uses: one that fails may have taken half of it.
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            load_pair(context, self._certificate, self._private_key, "private_key")
