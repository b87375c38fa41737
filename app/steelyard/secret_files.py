"""Files that hold secrets: read with their mode checked, written whole or not at all."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.errors import ConfigurationError

_MAX_BYTES = 1 << 20


def read_secret(path: Path, setting: str) -> bytes:
    """The file's content. `setting` is the name of the setting that names the file.

    Raises ConfigurationError when the file cannot be read, or when others than its owner can.
    """
    try:
        with path.open("rb") as file:
            _check_mode(os.fstat(file.fileno()), path, setting)
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"{setting}: {path} must not be larger than {_MAX_BYTES} bytes")
    return content


def read_secret_line(path: Path, setting: str) -> str:
    """The secret in a file of one line, without an editor's newline at the end.

    Raises ConfigurationError as `read_secret` does, and for an empty line or one that is no UTF-8.
    """
    try:
        line = read_secret(path, setting).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{setting}: {path} must be UTF-8") from None
    if not line:
        raise ConfigurationError(f"{setting}: {path} is empty")
    return line


def check_private(path: Path, setting: str) -> None:
    """Refuse a secret's file that a library reads by itself and that others could read, too.

    Raises ConfigurationError as `read_secret` does.
    """
    try:
        _check_mode(path.stat(), path, setting)
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read: {error.strerror}") from None


def _check_mode(status: os.stat_result, path: Path, setting: str) -> None:
    mode = stat.S_IMODE(status.st_mode)
    # A systemd credential belongs to root:root, and the mask of the access list that lets the
    # service's user read it shows as the group's bit: it opens the file to no further user.
    credential = status.st_uid == 0 and status.st_gid == 0 and not mode & 0o037
    if not stat.S_ISREG(status.st_mode) or (mode & 0o077 and not credential):
        raise ConfigurationError(
            f"{setting}: {path} must be a regular file that only its owner may read "
            f"(mode 0600 or 0400); it has mode {mode:04o}"
        )


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock: one process at a time changes what is in it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_secret(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace the file in one step: a reader, or a power cut, finds the old or the new content."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            if path.exists() and os.geteuid() == 0:
                # Root rotates a file that the service's user must go on reading.
                owner, own = path.stat(), os.fstat(file.fileno())
                # A confined service may not call it at all, and need not where nothing changes.
                if (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
