"""Certificate and key files that are renewed while a process runs.

Both ends of a connection use it: servers, and clients that show a certificate.
"""

import ssl
from pathlib import Path

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
