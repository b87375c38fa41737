"""When the certificates of the servers that one talks to are valid."""

import ssl
from typing import Any


class Peers:
    """Notes the validity of each server's certificate at its last handshake."""

    def __init__(self) -> None:
        self._validity: dict[str | None, tuple[int, int]] = {}

    def watch(self, context: ssl.SSLContext) -> None:
        """Look at the handshakes of this context, which must want certificates."""
        peers = self

        class Watched(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                peers.note(self.server_hostname, self.getpeercert() or {})

        context.sslobject_class = Watched

    def note(self, host: str | None, certificate: dict[str, Any]) -> None:
        """Take a certificate as Python's ssl tells of it."""
        first, last = (
            ssl.cert_time_to_seconds(certificate[name]) * 1000 for name in ("notBefore", "notAfter")
        )
        self._validity[host] = first, last

    def valid(self, host: str | None) -> tuple[int, int] | None:
        """When this host's is valid, in milliseconds since the epoch; None before a handshake."""
        return self._validity.get(host)
