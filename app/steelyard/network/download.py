"""Fetches an archive: verified by its checksum, put in place whole or not at all."""

import hashlib
import http.client
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.network.errors import DownloadFailed

# Debian 12's Python 3.11.2 lacks the filters (PEP 706); from 3.12 on every Python has them.
if TYPE_CHECKING or sys.version_info >= (3, 12):
    import tarfile
else:
    from backports import tarfile

ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 20
_MAX_BYTES = 1 << 30
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Archive:
    """What to fetch. `url` is http or https; the SHA-256 is of the archive as it is served."""

    url: str
    checksum: str


class _CutOff(Exception):
    """A transfer that ended early or never began: worth another attempt."""


def fetched(
    archive: Archive, destination: Path, *, pause: Callable[[float], None] = time.sleep
) -> Path:
    """The directory with the archive's content; it is fetched unless it is there already.

    Raises DownloadFailed: what was tried, and what came. Only a verified archive is unpacked, and
    `destination` appears by one renaming, so that it is whole whenever it is there.
    """
    if destination.is_dir():
        return destination
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".fetching-") as scratch:
            downloaded = Path(scratch) / archive.url.rsplit("/", 1)[-1]
            _download(archive, downloaded, pause)
            content = Path(scratch) / "content"
            content.mkdir()
            _unpack(downloaded, content)
            if not destination.is_dir():  # another process may have been as quick
                content.rename(destination)
    except OSError as error:
        raise DownloadFailed(f"{destination} cannot be written: {error.strerror}") from None
    return destination


def _download(archive: Archive, path: Path, pause: Callable[[float], None]) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = _transfer(archive.url, path)
            break
        except _CutOff as error:
            if attempt == ATTEMPTS:
                raise DownloadFailed(
                    f"{archive.url} could not be fetched in {ATTEMPTS} attempts: {error}"
                ) from None
        pause(_PAUSE_SECONDS * attempt)
    if found != archive.checksum:
        raise DownloadFailed(
            f"{archive.url} has the SHA-256 {found}, and not {archive.checksum}: it was thrown away"
        )


def _transfer(url: str, path: Path) -> str:
    """One attempt. Gives the SHA-256 of what came. Raises DownloadFailed and _CutOff."""
    digest = hashlib.sha256()
    size = 0
    try:
        # The settings admit http and https only.
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response,  # noqa: S310
            path.open("wb") as file,
        ):
            expected = response.headers.get("Content-Length")
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > _MAX_BYTES:
                    raise DownloadFailed(f"{url} is larger than {_MAX_BYTES} bytes")
                digest.update(chunk)
                file.write(chunk)
    except urllib.error.HTTPError as error:
        if error.code in _RETRIED_STATUSES:
            raise _CutOff(f"the server answers {error.code}") from None
        raise DownloadFailed(f"{url}: the server answers {error.code} {error.reason}") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as e:
        raise _CutOff(str(getattr(e, "reason", e) or type(e).__name__)) from None
    if expected is not None and size != int(expected):
        raise _CutOff(f"{size} of {expected} bytes came")
    return digest.hexdigest()


def _unpack(archive: Path, directory: Path) -> None:
    if archive.suffix == ".jar":
        shutil.copyfile(archive, directory / archive.name)
        return
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(directory, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadFailed(f"{archive.name} cannot be unpacked: {error}") from None
