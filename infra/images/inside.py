"""A root's inside: namespaces in which its programs run, and which leave nothing when they end.

On another computer than arm64 its programs are emulated, which is slow beyond use on a busy one. So
they are covered, as long as the namespaces last, by the same versions of them for this computer;
what they write is the same.
"""

import platform
from dataclasses import dataclass
from pathlib import Path

from infra.images.archive import unpack_locked
from infra.images.errors import ImageProblem
from infra.images.lock import Lock
from infra.images.trees import remove, walk

_BINFMT = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
_PYTHON = "3.13"
# Directories of this computer's kind over the root's: libraries, and Python's extensions.
_DIRECTORIES = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    f"usr/lib/python{_PYTHON}/lib-dynload",
)
# Over the root's only when all its packages are configured.
_LATER = ("usr/lib/python3/dist-packages",)
# Where programs are: each is covered by itself, so that scripts can still write beside it.
_PROGRAMS = ("usr/bin", "usr/sbin", "usr/lib/apt", "usr/lib/openssh", "usr/lib/systemd")
# These say what the root is, or write what only its own kind reads; the last is given a group.
_NOT_COVERED = {"usr/bin/dpkg", "usr/sbin/ldconfig", "usr/bin/ssh-agent"}
_ELF = b"\x7fELF"
# What Python asks for by the name of its own kind.
_CONFIGURATION = f"usr/lib/python{_PYTHON}/_sysconfigdata__linux_x86_64-linux-gnu.py"
# For pip, it is on arm64 all the same, and takes wheels for that.
_PRETENCE = {"_PYTHON_HOST_PLATFORM": "linux-aarch64"}
# Shell that is run in `NAMESPACES` with ROOT set.
MOUNTS = """
mount -t proc proc "$ROOT/proc"
mount -t sysfs -o ro sysfs "$ROOT/sys"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/dev"
for one in null zero full random urandom; do
  touch "$ROOT/dev/$one"
  mount --bind "/dev/$one" "$ROOT/dev/$one"
done
ln -s /proc/self/fd "$ROOT/dev/fd"
mkdir "$ROOT/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/run"
"""
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True, slots=True)
class Inside:
    """How a root is entered. `tools` has the programs for this computer; none on arm64."""

    tools: Path | None

    def cover(self, root: Path, *, later: bool = False) -> str:
        """Shell that covers the root's programs, after `MOUNTS`; with `later` all that can be."""
        if self.tools is None:
            return ""
        lines = [
            'mkdir -p "$ROOT/usr/lib/x86_64-linux-gnu" "$ROOT/usr/lib64"\n',
            'ln -sfn usr/lib64 "$ROOT/lib64"\n',
            f'touch "$ROOT/{_CONFIGURATION}"\n',
        ]
        directories = (*_DIRECTORIES, *_LATER) if later else _DIRECTORIES
        covered = [*directories, _CONFIGURATION, *programs(self.tools, root)]
        # One program for all of them, as there are hundreds.
        lines.append('cat >"$ROOT/run/covered" <<"END"\n')
        lines += [
            f"{_field(self.tools / one)} {_field(root / one)} none bind,ro 0 0\n" for one in covered
        ]
        lines.append('END\nmount --all --fstab "$ROOT/run/covered"\n')
        return "".join(lines)

    @property
    def environment(self) -> dict[str, str]:
        """What Python must believe."""
        return {} if self.tools is None else dict(_PRETENCE)

    def leave(self, root: Path) -> None:
        """Remove what the mounts stood on."""
        if self.tools is not None:
            for name in ("lib64", "usr/lib64", "usr/lib/x86_64-linux-gnu", _CONFIGURATION):
                remove(root / name)


def _field(path: Path) -> str:
    """A path as fstab(5) has it."""
    return str(path).replace(" ", "\\040")


def programs(tools: Path, root: Path) -> list[str]:
    """Programs that both have, as files of their own and not as scripts, below their roots."""
    found = []
    for directory in _PROGRAMS:
        for one in walk(tools / directory):
            name = str(one.relative_to(tools))
            if name not in _NOT_COVERED and _is_program(one) and _is_program(root / name):
                found.append(name)
    return found


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def unpack_tools(lock: Lock, packages: Path, directory: Path) -> Inside:
    """Have the tools unpacked, where the computer is not of the root's own kind."""
    if platform.machine() == "aarch64":
        return Inside(None)
    stamp = directory / ".complete"
    wanted = "".join(f"{one.sha256}\n" for one in lock.used_for("tool"))
    if not (stamp.exists() and stamp.read_text("ascii") == wanted):
        unpack_locked(lock.used_for("tool"), packages, directory)
        stamp.write_text(wanted, "ascii")
    return Inside(directory)


def check_emulation() -> None:
    """Programs for arm64 must run in a root: raises ImageProblem where they do not.

    The handler must be open since it was registered (flag F), as no root has an interpreter.
    """
    if platform.machine() == "aarch64":
        return
    text = _BINFMT.read_text("ascii") if _BINFMT.exists() else ""
    flags = next((line for line in text.splitlines() if line.startswith("flags:")), "")
    if not text.startswith("enabled") or "F" not in flags.removeprefix("flags:"):
        raise ImageProblem(
            "arm64 programs do not run here: needs the Debian packages qemu-user-static and"
            " binfmt-support, and binfmt_misc mounted (update-binfmts --enable qemu-aarch64)"
        )
