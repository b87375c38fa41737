"""The machines of infra.machines as resources of a stack.

A stack's state keeps the provider as a reference to this module and its class: do not move them
while stacks are up. It is otherwise stateless, and small.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.machines.errors import MachineProblem
from infra.machines.group import MachineGroup, MachineSpec
from infra.machines.machine import USER
from infra.machines.programs import why_not_here
from infra.machines.roots import RootImage
from infra.sentences import in_a_sentence
from steelyard.network import processes

_FOR_EVER = ("name", "directory", "suite", "packages")


class MachineProvider(ResourceProvider):
    """Makes, starts and ends one machine. Inputs: `name`, `directory`, `suite`, `packages`."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """In preview already: whether this computer can make machines."""
        reason = why_not_here()
        return CheckResult(news, [CheckFailure("name", reason)] if reason else [])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another disk is another machine; one that does not run is started."""
        replaces = [name for name in _FOR_EVER if _olds.get(name) != _news.get(name)]
        changes = bool(replaces) or not _olds.get("running", True)
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=True)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make and boot it."""
        with _group(props) as group:
            image = RootImage(props["suite"], packages=tuple(props["packages"]))
            group.up([MachineSpec(props["name"], image)])
            return CreateResult(f"{group.directory}/{props['name']}", _told(group, props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """How it is now; without an id when it is gone."""
        with _group(props) as group:
            if props["name"] in group.machines:
                return ReadResult(id_, _told(group, props))
        _forget(group.directory)
        return ReadResult("", {})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Start it again."""
        with _group(_news) as group:
            group.start(_news["name"])
            return UpdateResult(_told(group, _news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End it and throw its disk away; with the last one, the bridge and the keys."""
        with _group(_props) as group:
            group.remove(_props["name"])
            if not group.machines:
                group.down()
                for log in group.directory.glob("*.log"):
                    log.unlink()
        if not group.machines:
            _forget(group.directory)


class LocalMachine(Resource, module="steelyard", name="LocalMachine"):
    """A machine on this computer."""

    address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    key_file: pulumi.Output[str]
    own_address: pulumi.Output[str]
    user = USER

    def __init__(
        self,
        name: str,
        args: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        told = ("address", "host_key", "key_file", "own_address", "running")
        props = {"name": name, **args, **dict.fromkeys(told)}
        super().__init__(MachineProvider(), name, props, opts)


def _told(group: MachineGroup, props: Mapping[str, Any]) -> dict[str, Any]:
    record = group.machines[props["name"]]
    keys = dict(
        line.split(" ", 1) for line in group.known_hosts_file.read_text("ascii").splitlines()
    )
    return {
        **{name: props[name] for name in _FOR_EVER},
        "address": record.address,
        "host_key": keys[record.address],
        "key_file": str(group.key_file),
        "own_address": group.own_address,
        "running": record.nspawn is not None and processes.alive(record.nspawn),
    }


@contextmanager
def _group(props: Mapping[str, Any]) -> Iterator[MachineGroup]:
    """The group, for one call at a time: several threads and processes may want it."""
    directory = Path(props["directory"])
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with in_a_sentence(MachineProblem), (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield MachineGroup(directory)


def _forget(directory: Path) -> None:
    (directory / "lock").unlink(missing_ok=True)
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
