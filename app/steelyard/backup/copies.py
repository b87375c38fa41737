"""Consistent copies of databases that are in use, beside a manifest of what they are."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.backup.errors import BackupFailed
from steelyard.backup.owners import Owners, group_name, user_name
from steelyard.backup.settings import BackupSettings, SetSettings

MANIFEST = "manifest.json"
FORMAT = 1


def staging(settings: BackupSettings, name: str) -> Path:
    """Where a set's copies stand while it is backed up, and in the backup."""
    return settings.state_directory / "staging" / name


@contextmanager
def copied(settings: BackupSettings, one: SetSettings) -> Iterator[Path]:
    """Make a set's copies and its manifest; the directory lives as long as the context."""
    directory = staging(settings, one.name)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        # A database's owner makes the copy in it, and nobody reads another's.
        directory.parent.chmod(0o711)
        directory.chmod(stat.S_ISVTX | 0o733)
        databases = [_copy_sqlite(path, directory, n) for n, path in enumerate(one.sqlite)]
        dumps = [_dump(settings, name, directory) for name in one.postgresql]
        manifest = {
            "format": FORMAT,
            "set": one.name,
            "paths": [str(path) for path in one.paths],
            "owners": Owners.of(one.paths).as_json(),
            "sqlite": databases,
            "postgresql": dumps,
        }
        (directory / MANIFEST).write_text(json.dumps(manifest), "utf-8")
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _copy_sqlite(path: Path, directory: Path, number: int) -> dict[str, Any]:
    status = path.stat()
    target = directory / f"{number}.sqlite"
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "steelyard.backup.sqlite_copy", str(path), str(target)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        umask=0o077,
        **_as_user(status.st_uid, status.st_gid),
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise BackupFailed(f"{path}: cannot be copied: {lines[-1]}")
    return {
        "path": str(path),
        "file": target.name,
        "user": user_name(status.st_uid) or status.st_uid,
        "group": group_name(status.st_gid) or status.st_gid,
        "mode": stat.S_IMODE(status.st_mode),
    }


def _dump(settings: BackupSettings, name: str, directory: Path) -> dict[str, Any]:
    target = directory / f"{name}.dump"
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        # Not compressed: restic finds what is the same as yesterday, and compresses the rest.
        postgres(settings, ["pg_dump", "--format=custom", "--compress=0", name], stdout=file)
    return {"database": name, "file": target.name}


def postgres(
    settings: BackupSettings,
    command: Sequence[str],
    *,
    stdin: Any = subprocess.DEVNULL,
    stdout: Any = subprocess.PIPE,
) -> str:
    """Run one of PostgreSQL's programs as the databases' user. Raises BackupFailed."""
    try:
        user = pwd.getpwnam(settings.database_user)
        done = subprocess.run(  # noqa: S603 - our own arguments
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            cwd="/",
            **_as_user(user.pw_uid, user.pw_gid),
        )
    except KeyError:
        raise BackupFailed(f"there is no user {settings.database_user}") from None
    except OSError as error:
        raise BackupFailed(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BackupFailed(f"{command[0]} failed: {lines[0]}")
    return (done.stdout or b"").decode()


def _as_user(uid: int, gid: int) -> dict[str, Any]:
    """What makes a child another user's; nothing where we may not, or need not."""
    if os.geteuid() != 0 or uid == 0:
        return {}
    return {"user": uid, "group": gid, "extra_groups": []}
