"""Restoring one set: to its place, with its owners, and with what lived there put aside."""

import json
import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.backup import databases
from steelyard.backup.copies import FORMAT, MANIFEST
from steelyard.backup.errors import RestoreFailed, RestoreRefused
from steelyard.backup.owners import Owners, group_id, user_id
from steelyard.backup.restic import Restic, Snapshot
from steelyard.backup.service import alone, client_of, find_set, units_of
from steelyard.backup.settings import BackupSettings

_WAL = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be restored. `snapshot` is an id or `latest`; `host` another host's name."""

    name: str
    snapshot: str = "latest"
    host: str | None = None
    force: bool = False
    start: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is to go to a place, and the endings of files beside it that belong to the old one."""

    path: Path
    made: Path
    beside: tuple[str, ...] = ()


def restore(settings: BackupSettings, request: Request) -> list[str]:
    """Restore a set; what was done.

    Raises RestoreRefused before anything was changed. Everything is fetched beside its place
    first, so that a repository that goes away changes nothing either.
    """
    one = find_set(settings, request.name)
    client = client_of(settings, one)
    with alone(settings), ExitStack() as scratch:
        snapshot = _choose(settings, client, request)
        manifest, copies = _manifest(client, snapshot)
        owners = Owners.from_json(manifest["owners"])
        _refuse(settings, manifest, owners, force=request.force)
        fetched = _fetch_all(client, snapshot, manifest, copies, scratch)
        dumps = []
        for entry in manifest["postgresql"]:
            file = scratch.enter_context(tempfile.TemporaryFile(dir=settings.state_directory))
            client.read(snapshot.id, copies / entry["file"], file)
            dumps.append((entry["database"], file))
        units = units_of(settings)
        units.stop([*one.stop_for_restore, *one.stop])
        # From here on a failure leaves them stopped: what is half restored must not run.
        units.forget()
        told = [f"Restoring {one.name} as of {snapshot.time[:19]} ({snapshot.id[:8]})."]
        suffix = time.strftime(".before-restore-%Y%m%dT%H%M%SZ", time.gmtime())
        for item in fetched:
            told += _place(item, suffix)
        for database, file in dumps:
            told += databases.restore(settings, database, file)
        if request.start:
            wanted = [*reversed(one.stop), *reversed(one.stop_for_restore)]
            # Not what ran: on a host that was just set up nothing could run yet.
            units.start([unit for unit in wanted if units.is_enabled(unit)])
    return told


def _choose(settings: BackupSettings, client: Restic, request: Request) -> Snapshot:
    host = request.host or settings.host
    found = client.snapshots(request.name, host)
    if request.snapshot != "latest":
        found = [one for one in found if one.id.startswith(request.snapshot)]
    if not found:
        which = "" if request.snapshot == "latest" else f" {request.snapshot}"
        raise RestoreRefused(
            f"repository {client.name} has no backup{which} of the set {request.name} of {host}"
        )
    return found[-1]


def _manifest(client: Restic, snapshot: Snapshot) -> tuple[dict[str, Any], Path]:
    """The manifest, and the directory of the copies in the backup."""
    for path in map(Path, snapshot.paths):
        if path.parent.name == "staging":
            with tempfile.TemporaryFile() as file:
                client.read(snapshot.id, path / MANIFEST, file)
                manifest = json.load(file)
            if manifest["format"] != FORMAT:
                raise RestoreRefused(f"the backup's format is {manifest['format']}, not {FORMAT}")
            return dict(manifest), path
    raise RestoreRefused("the backup has no manifest")


def _refuse(
    settings: BackupSettings, manifest: dict[str, Any], owners: Owners, *, force: bool
) -> None:
    missing = owners.missing()
    for entry in manifest["sqlite"]:
        if isinstance(entry["user"], str) and user_id(entry["user"]) is None:
            missing.append(f"user {entry['user']}")
    if missing:
        raise RestoreRefused(
            f"this host has no {missing[0]}, who owns files of the backup: set the host up first"
        )
    paths = [*map(Path, manifest["paths"]), *(Path(one["path"]) for one in manifest["sqlite"])]
    for path in paths:
        if path.is_mount():
            raise RestoreRefused(f"{path} is a mount point, which cannot be replaced as a whole")
        if not force and _lives(path):
            raise RestoreRefused(f"{path} is there already; --force puts it aside")
    for entry in manifest["postgresql"]:
        if not force and databases.has_tables(settings, entry["database"]):
            raise RestoreRefused(
                f"the database {entry['database']} has tables already; --force puts it aside"
            )


def _lives(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return path.exists() or path.is_symlink()


def _fetch_all(
    client: Restic,
    snapshot: Snapshot,
    manifest: dict[str, Any],
    copies: Path,
    scratch: ExitStack,
) -> list[Fetched]:
    owners = Owners.from_json(manifest["owners"])
    fetched = []
    for path in map(Path, manifest["paths"]):
        made = _fetch(client, snapshot, path, path, scratch)
        owners.give(made)
        fetched.append(Fetched(path, made))
    for entry in manifest["sqlite"]:
        path = Path(entry["path"])
        made = _fetch(client, snapshot, copies / entry["file"], path, scratch)
        _give_file(made, entry)
        fetched.append(Fetched(path, made, beside=_WAL))
    return fetched


def _fetch(
    client: Restic, snapshot: Snapshot, source: Path, path: Path, scratch: ExitStack
) -> Path:
    """Restore beside the place, on its file system; where it stands now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".restoring-", dir=path.parent))
    scratch.callback(shutil.rmtree, beside, ignore_errors=True)
    client.restore(snapshot.id, source, beside)
    made = beside / source.relative_to("/")
    if not os.path.lexists(made):
        raise RestoreFailed(f"the backup has no {source}")
    return made


def _give_file(path: Path, entry: dict[str, Any]) -> None:
    uid = user_id(entry["user"]) if isinstance(entry["user"], str) else entry["user"]
    gid = group_id(entry["group"]) if isinstance(entry["group"], str) else entry["group"]
    os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
    path.chmod(entry["mode"])


def _place(item: Fetched, suffix: str) -> list[str]:
    """Put aside what lives, and move what was fetched to its place."""
    aside = _put_aside(item.path, suffix)
    for ending in item.beside:
        _put_aside(item.path.with_name(item.path.name + ending), suffix)
    try:
        item.made.rename(item.path)
    except OSError as error:
        if aside:
            aside.rename(item.path)
        raise RestoreFailed(f"{item.path}: cannot be put there: {error.strerror}") from None
    told = [f"Restored {item.path}."]
    return [*told, f"What was there is {aside}."] if aside else told


def _put_aside(path: Path, suffix: str) -> Path | None:
    """Where it went; None when there was nothing, or an empty directory."""
    if not os.path.lexists(path):
        return None
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        path.rmdir()
        return None
    aside = path.with_name(path.name + suffix)
    path.rename(aside)
    return aside
