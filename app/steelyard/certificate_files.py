"""Certificate and key files that are renewed while a process runs.

Both ends of a connection use it: servers, and clients that show a certificate.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

import structlog

from steelyard.errors import ConfigurationError
from steelyard.secret_files import check_private

Stamp = tuple[tuple[int, int, int], ...]


def stamp(*paths: Path) -> Stamp:
    """What changes when one of the files does. Raises ConfigurationError for one that is gone."""
    stamps = []
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
        # With the mode: a key that was refused for it is taken once that is mended.
        stamps.append((status.st_mtime_ns, status.st_ino, status.st_mode))
    return tuple(stamps)


class WatchedFiles:
    """Files that are read again when one of them changes. `name` is what the log calls them.

    Raises ConfigurationError for one that is not there to begin with.
    """

    def __init__(self, name: str, *paths: Path) -> None:
        self._taken, self._refused = f"{name} reloaded", f"{name} not reloaded"
        self._paths = paths
        self._seen = stamp(*paths)
        self._logger = structlog.get_logger(__name__)

    def read_if_changed(self, read: Callable[[], None], **told: str) -> bool:
        """Whether `read` took new files; what it raises ConfigurationError for is only logged.

        `read` must leave the old ones in use when it raises. `told` goes into the log.
        """
        try:
            seen = stamp(*self._paths)
            if seen == self._seen:
                return False
            self._seen = seen
            read()
        except ConfigurationError as problem:
            self._logger.warning(self._refused, reason=str(problem))
            return False
        self._logger.info(self._taken, **told)
        return True


def load_pair(context: ssl.SSLContext, certificate: Path, private_key: Path, setting: str) -> None:
    """Let a context show a certificate chain. `setting` is the name of the key's setting.

    Raises ConfigurationError when the files do not fit together, or others could read the key.
    """
    check_private(private_key, setting)
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate, private_key, password=lambda: b"")
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{certificate} and {private_key} are not a certificate and its "
            f"unencrypted key in PEM: {error.reason or 'unreadable'}"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or private_key}: cannot be read: {error.strerror}"
        ) from None


def trust(context: ssl.SSLContext, file: Path, setting: str) -> None:
    """Let a context trust the certificates, or heed the revocation lists, of a PEM file.

    Raises ConfigurationError when it holds none.
    """
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise ConfigurationError(f"{setting}: {file} holds nothing that is valid PEM") from None
    except OSError as error:
        raise ConfigurationError(f"{setting}: {file} cannot be read: {error.strerror}") from None
