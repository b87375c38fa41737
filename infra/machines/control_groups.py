"""Control groups of a machine's own: two machines that share one take each other's processes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")


def hierarchies() -> list[Path]:
    """Where control group hierarchies are mounted: one (unified), or one a controller."""
    found = []
    for line in _MOUNTS.read_text("utf-8").splitlines():
        _, place, kind = line.split()[:3]
        if kind in {"cgroup", "cgroup2"}:
            found.append(Path(place))
    return found


def make_groups(name: str) -> list[Path]:
    """A group of this name in every hierarchy; those that may hold processes are returned."""
    groups = []
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        _copy_cpuset(hierarchy, group)
        groups.append(group)
    return groups


def entering(groups: list[Path]) -> list[str]:
    """The beginning of a command line that enters the groups before the rest of it runs."""
    enter = "".join(f"echo $$ > '{group}/cgroup.procs' && " for group in groups)
    return ["/bin/sh", "-c", f'{enter}exec "$@"', "sh"]


def remove_groups(name: str) -> None:
    """Remove the groups of this name and all below them; those that are still used stay."""
    for hierarchy in hierarchies():
        for group in _deepest_first(hierarchy / name):
            with contextlib.suppress(OSError):
                group.rmdir()


def _copy_cpuset(hierarchy: Path, group: Path) -> None:
    """A new group of the old cpuset controller takes no process until it has processors."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (hierarchy / name).exists() and not (group / name).read_text("ascii").strip():
            (group / name).write_text((hierarchy / name).read_text("ascii"), "ascii")


def _deepest_first(group: Path) -> Iterator[Path]:
    if group.is_dir():
        for child in group.iterdir():
            if child.is_dir():
                yield from _deepest_first(child)
        yield group
