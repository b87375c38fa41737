"""The secrets that the platform shows once, kept as files for their owner only."""

import stat
from pathlib import Path
from urllib.parse import quote

from steelyard.errors import ConfigurationError
from steelyard.new_password import make_password
from steelyard.secret_files import read_secret_line, write_secret


class SecretsDirectory:
    """`station-NAME.secret` and `user-LOGIN.password`, one line each, mode 0600.

    The directory is made, unless `make` is false. Raises ConfigurationError for one that others may
    look into.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        self._path = path
        try:
            if make:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
        except OSError as error:
            raise ConfigurationError(
                f"--secrets-directory: {path} cannot be used: {error.strerror}"
            ) from None
        if mode & 0o077:
            raise ConfigurationError(
                f"--secrets-directory: {path} must be its owner's only (mode 0700); "
                f"it has mode {mode:04o}"
            )

    def station(self, name: str) -> Path:
        """The file of a station's client secret."""
        return self._path / f"station-{_file_name(name)}.secret"

    def keep_station(self, name: str, secret: str) -> None:
        """Write a station's client secret."""
        self._write(self.station(name), secret)

    def forget_station(self, name: str) -> None:
        """Remove a station's client secret, which is about to end."""
        self.station(name).unlink(missing_ok=True)

    def password_of(self, login: str) -> str:
        """A new user's password. It is written before it is used, so that it is never lost."""
        path = self._path / f"user-{_file_name(login)}.password"
        if path.exists():
            return read_secret_line(path, "--secrets-directory")
        password = make_password(login)
        self._write(path, password)
        return password

    def _write(self, path: Path, text: str) -> None:
        try:
            write_secret(path, f"{text}\n".encode())
        except OSError as error:
            raise ConfigurationError(
                f"--secrets-directory: {path} cannot be written: {error.strerror}"
            ) from None


def _file_name(name: str) -> str:
    return quote(name, safe="@+~")
