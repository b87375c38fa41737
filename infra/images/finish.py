"""What is done to a root after the roles: the appliance's own files, drivers, and no leftovers."""

import json
import os
import re
import shutil
from pathlib import Path

from infra.images.definition import IMAGES, Definition
from infra.images.errors import ImageProblem
from infra.images.programs import run
from infra.images.trees import clamp_times, remove, walk

_DAY = 86_400
# What would differ from build to build, belongs to one station, or is of no use in a finished root.
LEFTOVERS = (
    *("etc/.pwd.lock", "etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-"),
    *("etc/subgid-", "etc/subuid-", "etc/apt/sources.list", "etc/resolv.conf", "root/.ansible"),
    *("usr/sbin/policy-rc.d", "var/cache/apt", "var/cache/debconf", "var/cache/ldconfig"),
    *("var/lib/apt/lists", "var/lib/dbus/machine-id", "var/lib/dpkg/status-old"),
    *("var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old", "var/lib/dpkg/lock"),
    *("var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock", "var/lib/systemd/random-seed"),
    *("var/lib/systemd/credential.secret",),
)
EMPTIED = ("tmp", "var/tmp", "run", "boot", "dev")
# Directories whose content is kept on the data partition, by their names there.
DATA = {
    "etc": "etc/steelyard",
    "lib": "var/lib/steelyard",
    "systemd": "var/lib/systemd",
}


def finish(
    root: Path,
    definition: Definition,
    *,
    payload: Path,
    key: Path,
    release: dict[str, str],
    epoch: int,
) -> Path:
    """Make a root with roles applied what a card has; the kernel's directory of modules.

    `payload` holds what is unpacked and not installed, `key` is the public key of updates.
    """
    modules = _add_kernel(root, payload, definition.modules.without)
    _add_files(root)
    _add_programs(root)
    about = root / "usr/share/steelyard"
    about.mkdir(parents=True, exist_ok=True)
    shutil.copy(key, about / "update-key.pem")
    (about / "release.json").write_text(json.dumps(release, indent=2, sort_keys=True) + "\n")
    for one in about.iterdir():
        one.chmod(0o644)
    _set_units(root, definition)
    remove_leftovers(root)
    _set_passwords(root, epoch)
    _split_data(root)
    _mark_updated(root, epoch)
    clamp_times(root, epoch)
    return modules


def remove_leftovers(root: Path) -> None:
    """Also host keys and the machine's id: each station makes its own."""
    for name in LEFTOVERS:
        remove(root / name)
    for one in (root / "etc/ssh").glob("ssh_host_*"):
        one.unlink()
    for name in EMPTIED:
        for one in (root / name).iterdir():
            remove(one)
    for one in [*walk(root / "var/log")]:
        # Directories stay: they are their services'.
        if not one.is_dir() or one.is_symlink():
            one.unlink()
    (root / "boot/firmware").mkdir()
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _add_kernel(root: Path, payload: Path, without: list[str]) -> Path:
    found = list((payload / "usr/lib/modules").iterdir())
    if len(found) != 1:
        raise ImageProblem(f"the payload has {len(found)} kernels, and must have one")
    own = root / "usr/lib/modules" / found[0].name
    remove(own)
    shutil.copytree(found[0], own, symlinks=True)
    for name in without:
        if not (own / "kernel" / name).exists():
            raise ImageProblem(f"the kernel has no drivers {name} to leave out")
        remove(own / "kernel" / name)
    for name in ("vmlinuz", "dtb", "config", "System.map"):
        remove(own / name)
    run(["depmod", "-b", root, found[0].name])
    run(["cp", "-a", f"{payload}/usr/lib/firmware/.", root / "usr/lib/firmware"])
    return found[0]


def _add_files(root: Path) -> None:
    tree = IMAGES / "files"
    # Files, and the directories that they are in: an empty one is in this checkout alone.
    for one in (path for path in walk(tree) if not path.is_dir()):
        place = root / one.relative_to(tree)
        place.parent.mkdir(parents=True, exist_ok=True)
        remove(place)
        shutil.copyfile(one, place)
        place.chmod(0o755 if one.parent.name == "sbin" else 0o644)


def _add_programs(root: Path) -> None:
    own = Path(__file__).parent / "station"
    place = root / "usr/local/lib/steelyard/station_slots"
    place.mkdir(parents=True, exist_ok=True)
    for one in own.glob("*.py"):
        shutil.copyfile(one, place / one.name)
        (place / one.name).chmod(0o644)


def _set_units(root: Path, definition: Definition) -> None:
    own = root / "etc/systemd/system"
    for unit, target in definition.units.enabled:
        wants = own / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        places = [own / unit, root / "usr/lib/systemd/system" / unit]
        there = next((path for path in places if path.exists()), None)
        if there is None:
            raise ImageProblem(f"unit {unit} is to be enabled, and is not in the root")
        remove(wants / unit)
        (wants / unit).symlink_to(f"/{there.relative_to(root)}")
    for unit in definition.units.masked:
        remove(own / unit)
        (own / unit).symlink_to("/dev/null")


def _set_passwords(root: Path, epoch: int) -> None:
    """Nobody has one, and the days on which accounts were made are the build's no more."""
    path = root / "etc/shadow"
    lines = [line.split(":") for line in path.read_text("utf-8").splitlines()]
    for fields in lines:
        if not re.match(r"[!*]", fields[1]):
            fields[1] = "!"
        fields[2] = str(epoch // _DAY)
    path.write_text("".join(":".join(fields) + "\n" for fields in lines), "utf-8")


def _mark_updated(root: Path, epoch: int) -> None:
    """Say that /etc and /var are those of this /usr: else each start makes their caches anew.

    Source: systemd-update-done.service(8), ConditionNeedsUpdate= in systemd.unit(5).
    """
    for name in ("etc/.updated", "var/.updated"):
        (root / name).write_text(f"TIMESTAMP_NSEC={epoch * 1_000_000_000}\n", "ascii")


def _split_data(root: Path) -> None:
    """Keep aside what the data partition begins with; an empty directory stays in its place."""
    aside = root / "usr/share/steelyard/data"
    remove(aside)
    aside.mkdir(parents=True)
    aside.chmod(0o700)
    (root / "data").mkdir(exist_ok=True)
    for name, place in DATA.items():
        source = root / place
        source.mkdir(parents=True, exist_ok=True)
        was = source.stat()
        source.rename(aside / name)
        source.mkdir()
        os.chown(source, was.st_uid, was.st_gid)
        source.chmod(was.st_mode & 0o7777)
