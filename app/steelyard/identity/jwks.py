"""Where a verifier has its public keys from: a file, or the management API's JWKS endpoint."""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from structlog import get_logger

from steelyard.errors import ConfigurationError
from steelyard.identity.errors import VerificationKeysUnavailable
from steelyard.identity.keys import KeySet
from steelyard.identity.settings import IdentitySettings

logger = get_logger(__name__)

_MAX_BYTES = 65_536
_TIMEOUT_SECONDS = 5


class KeySource(Protocol):
    """Public keys by key id."""

    async def keys(self, wanted: str) -> KeySet:
        """The key set; `wanted` is the key id that should be in it, if there is such a key."""
        ...


class JwksFile:
    """A key set in a file; read again when the file was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys = self._read()

    async def keys(self, wanted: str) -> KeySet:
        """The key set as the file has it now."""
        del wanted
        return self.current()

    def current(self) -> KeySet:
        """The key set as the file has it now; the last good one while the file is unreadable."""
        if self._look() != self._stamp:
            try:
                self._keys = self._read()
            except ConfigurationError as error:
                logger.warning("key set not reloaded", reason=str(error))
        return self._keys

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> KeySet:
        self._stamp = self._look()
        try:
            return KeySet.from_json(self._path.read_bytes()[: _MAX_BYTES + 1])
        except OSError as error:
            raise ConfigurationError(
                f"identity.jwks_file: {self._path} cannot be read: {error.strerror}"
            ) from None
        except ValueError as error:
            raise ConfigurationError(f"identity.jwks_file: {self._path} {error}") from None


class JwksUrl:
    """A key set behind a URL: cached, and fetched again for an unknown key id, but not too often.

    When a fetch fails the keys that were fetched before go on serving.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        max_age_seconds: float = 3600,
        refetch_seconds: float = 10,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._tls = _tls_context(ca_file) if url.startswith("https:") else None
        self._max_age = max_age_seconds
        self._refetch = refetch_seconds
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None

    async def keys(self, wanted: str) -> KeySet:
        """The cached key set, or a fresh one. Raises VerificationKeysUnavailable without any."""
        if self._keys is None or wanted not in self._keys or self._is_old():
            async with self._lock:
                if self._keys is None or wanted not in self._keys or self._is_old():
                    await self._fetch_if_allowed()
        if self._keys is None:
            raise VerificationKeysUnavailable("the key set could not be fetched")
        return self._keys

    def _is_old(self) -> bool:
        return self._clock() - self._fetched_at > self._max_age

    async def _fetch_if_allowed(self) -> None:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < self._refetch:
            return
        self._tried_at = now
        try:
            self._keys = KeySet.from_json(await self._download())
        except (OSError, TimeoutError, ValueError) as error:
            logger.warning("key set not fetched", url=self._url, reason=type(error).__name__)
            return
        self._fetched_at = now

    async def _download(self) -> bytes:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(self._url, ssl=self._tls or True, allow_redirects=False) as response,
            ):
                body = await response.content.read(_MAX_BYTES + 1)
                while len(body) <= _MAX_BYTES and (more := await response.content.read(_MAX_BYTES)):
                    body += more
        except aiohttp.ClientError as error:
            raise OSError(type(error).__name__) from None
        if response.status != 200 or len(body) > _MAX_BYTES:
            raise ValueError("unexpected answer")
        return body


def key_source(settings: IdentitySettings) -> JwksFile | JwksUrl:
    """The source that the settings name. Raises ConfigurationError unless exactly one is named."""
    if settings.jwks_file is not None and settings.jwks_url is None:
        return JwksFile(settings.jwks_file)
    if settings.jwks_url is not None and settings.jwks_file is None:
        return JwksUrl(
            settings.jwks_url,
            ca_file=settings.jwks_ca_file,
            max_age_seconds=settings.jwks_max_age_seconds,
            refetch_seconds=settings.jwks_refetch_seconds,
        )
    raise ConfigurationError("identity: set exactly one of jwks_file and jwks_url")


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise ConfigurationError(
            f"identity.jwks_ca_file: {ca_file} must hold certificates in PEM"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
