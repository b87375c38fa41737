"""restic, one repository at a time. Its words on an error become one sentence of ours."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from steelyard.backup.errors import BackupFailed, RestoreFailed
from steelyard.backup.settings import BackupSettings, RepositorySettings
from steelyard.errors import ConfigurationError
from steelyard.secret_files import read_secret_line

_NOT_ALL_READ = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A backup of a set."""

    id: str
    time: str
    paths: tuple[str, ...]


class Restic:
    """The client of one repository."""

    def __init__(self, settings: BackupSettings, repository: RepositorySettings) -> None:
        self._settings = settings
        self._repository = repository

    @property
    def name(self) -> str:
        """The repository's name."""
        return self._repository.name

    def is_there(self) -> bool:
        """Whether there is a repository. Raises BackupFailed when that cannot be told."""
        done = self._run("cat", "config")
        if done.returncode == 0:
            return True
        if "Is there a repository at the following location?" in done.stderr:
            return False
        raise BackupFailed(self._sentence(done.stderr))

    def make(self) -> None:
        """Make the repository."""
        self._must(self._run("init"), "cannot be made")

    def backup(self, name: str, paths: Sequence[Path], exclude: Sequence[str]) -> dict[str, Any]:
        """Back paths up as a set; restic's summary. Raises BackupFailed if any file was missed."""
        left_out = [part for pattern in exclude for part in ("--exclude", pattern)]
        done = self._run(
            *("--json", "backup", "--host", self._settings.host, "--tag", f"set={name}"),
            *left_out,
            *("--", *map(str, paths)),
        )
        if done.returncode == _NOT_ALL_READ:
            raise BackupFailed(f"set {name}: {_unread(done.stderr)}")
        self._must(done, f"did not take the set {name}")
        return _last_object(done.stdout)

    def prune(self) -> None:
        """Forget old backups of this host, and free their space."""
        keep = self._settings
        self._must(
            self._run(
                *("forget", "--prune", "--host", keep.host, "--group-by", "host,tags"),
                *("--keep-daily", str(keep.keep_daily), "--keep-weekly", str(keep.keep_weekly)),
                *("--keep-monthly", str(keep.keep_monthly)),
            ),
            "cannot be pruned",
        )

    def unlock(self) -> None:
        """Remove the locks of processes that are gone."""
        self._must(self._run("unlock"), "cannot be unlocked")

    def check(self, percent: int) -> None:
        """Check the repository's structure, and read so many percent of its data."""
        subset = [f"--read-data-subset={percent}%"] if percent else []
        self._must(self._run("check", *subset), "is damaged")

    def snapshots(self, name: str, host: str) -> list[Snapshot]:
        """The backups of a host's set, the oldest first."""
        done = self._run("--json", "snapshots", "--host", host, "--tag", f"set={name}")
        self._must(done, "cannot be read")
        found = [
            Snapshot(one["id"], one["time"], tuple(one["paths"]))
            for one in json.loads(done.stdout) or []
        ]
        return sorted(found, key=lambda one: one.time)

    def read(self, snapshot: str, path: Path, file: IO[bytes]) -> None:
        """Write a file of a backup into an open file, and go to its beginning."""
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*self._command(), "dump", snapshot, str(path)],
            env=self._environment(),
            stdout=file,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise RestoreFailed(self._sentence(done.stderr.decode(errors="replace")))
        file.seek(0)

    def restore(self, snapshot: str, path: Path, target: Path) -> None:
        """Restore one path of a backup below a directory, with its whole path."""
        done = self._run("restore", snapshot, "--include", str(path), "--target", str(target))
        if done.returncode:
            raise RestoreFailed(self._sentence(done.stderr))

    def _must(self, done: subprocess.CompletedProcess[str], what: str) -> None:
        if done.returncode:
            raise BackupFailed(self._sentence(done.stderr, what))

    def _sentence(self, stderr: str, what: str = "cannot be used") -> str:
        """What is wrong, without restic's stacks and without the URL, which may hold a secret."""
        if "wrong password" in stderr:
            return (
                f"repository {self.name}: the password in {self._repository.password_file} is "
                "not the repository's"
            )
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith("Fatal: ")]
        last = (fatal or lines or ["no reason given"])[-1]
        reason = last.removeprefix("Fatal: ").replace(self._repository.url, "its place")
        return f"repository {self.name} {what}: {reason}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Read here as well, so that a file that others can read is refused.
        read_secret_line(self._repository.password_file, f"backup.repositories.{self.name}")
        try:
            return subprocess.run(  # noqa: S603 - our own arguments
                [*self._command(), *arguments],
                env=self._environment(),
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except OSError as error:
            raise ConfigurationError(
                f"backup.restic: {self._settings.restic} cannot be run: {error.strerror}"
            ) from None

    def _command(self) -> list[str]:
        options = [part for option in self._repository.options for part in ("-o", option)]
        cache = ["--cache-dir", str(self._settings.state_directory / "cache")]
        return [self._settings.restic, *cache, *options]

    def _environment(self) -> dict[str, str]:
        """The URL goes here: a command line is everybody's to read."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._settings.state_directory),
            "RESTIC_REPOSITORY": self._repository.url,
            "RESTIC_PASSWORD_FILE": str(self._repository.password_file),
        }
        if "TMPDIR" in os.environ:
            environment["TMPDIR"] = os.environ["TMPDIR"]
        if self._repository.s3_credentials_file:
            environment["AWS_SHARED_CREDENTIALS_FILE"] = str(self._repository.s3_credentials_file)
        return environment


def _last_object(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return dict(json.loads(lines[-1])) if lines else {}


def _unread(stderr: str) -> str:
    for line in stderr.splitlines():
        told = json.loads(line) if line.startswith("{") else {}
        if told.get("message_type") == "error":
            error = told.get("error", {})
            reason = error.get("message") or error.get("Err") or error.get("Op") or "not readable"
            return f"{told.get('item')} was not read ({reason})"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f"a file was not read ({lines[0] if lines else 'no reason given'})"
