"""Who owns what is backed up: by name, because another host's numbers are other ones."""

import grp
import os
import pwd
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Owners:
    """The names of users and groups, by their numbers where the backup was made."""

    users: Mapping[int, str]
    groups: Mapping[int, str]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "Owners":
        """The owners of everything at and below these paths."""
        users: set[int] = set()
        groups: set[int] = set()
        for path in everything(paths):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue  # the service that writes there still runs
            users.add(status.st_uid)
            groups.add(status.st_gid)
        return cls(
            {uid: name for uid in users if (name := user_name(uid))},
            {gid: name for gid in groups if (name := group_name(gid))},
        )

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Owners":
        """What `as_json` gave."""
        return cls(
            {int(uid): str(name) for uid, name in told["users"].items()},
            {int(gid): str(name) for gid, name in told["groups"].items()},
        )

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"users": dict(self.users), "groups": dict(self.groups)}

    def missing(self) -> list[str]:
        """Names that this host does not know."""
        absent = [f"user {one}" for one in self.users.values() if user_id(one) is None]
        absent += [f"group {one}" for one in self.groups.values() if group_id(one) is None]
        return sorted(absent)

    def here(self, uid: int, gid: int) -> tuple[int, int]:
        """The same owner's numbers on this host; a number without a name stays itself."""
        user = user_id(self.users[uid]) if uid in self.users else uid
        group = group_id(self.groups[gid]) if gid in self.groups else gid
        return (uid if user is None else user, gid if group is None else group)

    def give(self, root: Path) -> None:
        """Give everything at and below a path to its owner on this host."""
        for path in everything([root]):
            status = path.lstat()
            wanted = self.here(status.st_uid, status.st_gid)
            if wanted != (status.st_uid, status.st_gid):
                os.lchown(path, *wanted)
                if not path.is_symlink():
                    path.chmod(status.st_mode & 0o7777)  # lchown takes the set-id bits away


def everything(paths: Iterable[Path]) -> Iterable[Path]:
    """The paths themselves and all that is below them; links are not followed."""
    for path in paths:
        yield path
        if path.is_dir() and not path.is_symlink():
            for directory, names, files in os.walk(path):
                yield from (Path(directory, name) for name in [*names, *files])


def user_name(uid: int) -> str | None:
    """A user's name, if it has one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def group_name(gid: int) -> str | None:
    """A group's name, if it has one."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def user_id(name: str) -> int | None:
    """A user's number, if there is such a user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int | None:
    """A group's number, if there is such a group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
