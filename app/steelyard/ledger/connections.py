"""The HTTP session in which nodes and privacy managers are spoken to.

Those of other hosts stand behind a gateway: https, TLS 1.3, both sides with a certificate.
"""

import ssl
import time
from typing import Any

import aiohttp

from steelyard.certificate_files import WatchedFiles, load_pair, trust
from steelyard.ledger.settings import LedgerSettings

_LOOK_SECONDS = 10.0


def open_session(settings: LedgerSettings) -> aiohttp.ClientSession:
    """A session with the certificates of the settings. Call it inside of the event loop.

    Raises ConfigurationError for files that are not usable.
    """
    return aiohttp.ClientSession(connector=_Connector(ClientTls(settings)))


class ClientTls:
    """The context for https, whose files are read again when they change.

    New connections then show the new certificate; of an authority's file, what is new is trusted
    besides, and what was in it stays trusted until the process ends.
    """

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._files = [
            file
            for file in (settings.ca_file, settings.certificate_file, settings.private_key_file)
            if file is not None
        ]
        self._watched = WatchedFiles("ledger certificates", *self._files)
        self._looked = time.monotonic()
        self.context = _context(settings)
        _load(self.context, settings)

    def reload_if_changed(self) -> bool:
        """Whether new files were taken; if they do not fit together, the old ones stay in use."""
        return self._watched.read_if_changed(self._take)

    def _take(self) -> None:
        for context in (_context(self._settings), self.context):
            _load(context, self._settings)

    def look(self) -> None:
        """Reload what changed, if the last look was some time ago."""
        now = time.monotonic()
        if self._files and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self.reload_if_changed()


class _Connector(aiohttp.TCPConnector):
    def __init__(self, tls: ClientTls) -> None:
        super().__init__(ssl=tls.context)
        self._tls = tls

    async def connect(self, *arguments: Any, **named: Any) -> Any:
        """Look at the files before a connection is made or taken from the pool."""
        self._tls.look()
        return await super().connect(*arguments, **named)


def _context(settings: LedgerSettings) -> ssl.SSLContext:
    if settings.ca_file is None:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _load(context: ssl.SSLContext, settings: LedgerSettings) -> None:
    if settings.ca_file is not None:
        trust(context, settings.ca_file, "ledger.ca_file")
    if settings.certificate_file is not None and settings.private_key_file is not None:
        load_pair(
            context,
            settings.certificate_file,
            settings.private_key_file,
            "ledger.private_key_file",
        )
