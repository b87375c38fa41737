"""Backing a host's sets up, and looking after the repositories."""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.backup.copies import copied
from steelyard.backup.errors import BackupFailed
from steelyard.backup.record import Record
from steelyard.backup.restic import Restic
from steelyard.backup.settings import BackupSettings, RepositorySettings, SetSettings
from steelyard.backup.units import Units
from steelyard.errors import ConfigurationError, Problem

Tell = Callable[[str], None]


@contextmanager
def alone(settings: BackupSettings) -> Iterator[None]:
    """Be the only backup or restoration of this host. Raises BackupFailed when there is one."""
    settings.state_directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    path = settings.state_directory / "lock"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupFailed("another backup or restoration is under way") from None
        yield


def units_of(settings: BackupSettings) -> Units:
    """The units of this host."""
    return Units(settings.systemctl, settings.runtime_directory)


def initialise(settings: BackupSettings) -> list[str]:
    """Make the passwords and the repositories that are not there; what was made."""
    made = []
    for repository in settings.repositories:
        born = _make_password(repository)
        client = Restic(settings, repository)
        try:
            if not client.is_there():
                client.make()
                made.append(f"Made the repository {repository.name}.")
        except Problem:
            if born:
                repository.password_file.unlink()
            raise
        if born:
            made.append(f"Made the password {repository.password_file}: keep a copy elsewhere.")
    settings.state_directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    Record(settings).write()
    return made


def run(settings: BackupSettings, names: Sequence[str], tell: Tell) -> None:
    """Back up these sets, or all. Each is tried; raises BackupFailed with what failed."""
    chosen = [one for one in settings.sets if not names or one.name in names]
    unknown = sorted(set(names) - {one.name for one in chosen})
    if unknown:
        raise ConfigurationError(f"there is no set {unknown[0]}: {_names(settings)}")
    failures: list[str] = []
    with alone(settings):
        record = Record(settings)
        for one in chosen:
            try:
                told = _back_up(settings, one)
            except (Problem, OSError) as error:
                failures.append(str(error))
                record.note_set(one.name, None)
                tell(f"{one.name}: failed: {error}")
            else:
                record.note_set(one.name, told)
                tell(
                    f"{one.name}: {told['bytes']} bytes, {told['added_bytes']} new, "
                    f"{told['seconds']:.1f} s, stopped {told['stopped']:.1f} s"
                )
        for client in _clients(settings, chosen):
            try:
                client.prune()
            except Problem as error:
                failures.append(str(error))
                tell(str(error))
    if failures:
        raise BackupFailed("; ".join(failures))


def check(settings: BackupSettings, percent: int, tell: Tell) -> None:
    """Check every repository. Raises BackupFailed with what is wrong."""
    failures: list[str] = []
    with alone(settings):
        record = Record(settings)
        for repository in settings.repositories:
            client = Restic(settings, repository)
            try:
                client.unlock()
                client.check(percent)
            except Problem as error:
                failures.append(str(error))
                record.note_check(repository.name, good=False)
                tell(str(error))
            else:
                record.note_check(repository.name, good=True)
                tell(f"{repository.name}: no errors")
    if failures:
        raise BackupFailed("; ".join(failures))


def find_set(settings: BackupSettings, name: str) -> SetSettings:
    """A set by its name."""
    for one in settings.sets:
        if one.name == name:
            return one
    raise ConfigurationError(f"there is no set {name}: {_names(settings)}")


def _names(settings: BackupSettings) -> str:
    return ", ".join(one.name for one in settings.sets) or "there are none"


def client_of(settings: BackupSettings, one: SetSettings) -> Restic:
    """The client of a set's repository."""
    found = {repository.name: repository for repository in settings.repositories}
    return Restic(settings, found[one.repository])


def _back_up(settings: BackupSettings, one: SetSettings) -> dict[str, Any]:
    """Nothing is stopped before it is known that there is something, and where it goes."""
    for path in (*one.paths, *one.sqlite):
        if not path.exists():
            raise BackupFailed(f"set {one.name}: {path} is not there")
    client = client_of(settings, one)
    if not client.is_there():
        raise BackupFailed(f"repository {client.name} is not there: 'backup init' makes it")
    client.unlock()
    started = time.monotonic()
    stopped = 0.0
    # What is in use is copied before anything is stopped, and before the files: an outbox never
    # knows of more than the alibi memory beside it.
    with copied(settings, one) as copies:
        stopping = time.monotonic()
        with units_of(settings).stopped(one.stop):
            summary = client.backup(one.name, [*one.paths, copies], one.exclude)
        if one.stop:
            stopped = time.monotonic() - stopping
    return {
        "seconds": time.monotonic() - started,
        "stopped": stopped,
        "bytes": int(summary.get("total_bytes_processed", 0)),
        "added_bytes": int(summary.get("data_added", 0)),
    }


def _clients(settings: BackupSettings, sets: Sequence[SetSettings]) -> list[Restic]:
    used = {one.repository for one in sets}
    return [Restic(settings, one) for one in settings.repositories if one.name in used]


def _make_password(repository: RepositorySettings) -> bool:
    """Whether one was made: none is where there is a file."""
    path: Path = repository.password_file
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be made: {error.strerror}") from None
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True
