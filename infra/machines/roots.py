"""Root file systems: made once a suite, architecture and list of packages, and kept as tar."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.machines.errors import MachineProblem
from infra.machines.programs import run

SUITES = ("bookworm", "trixie")
ARCHITECTURES = ("amd64", "arm64")
# What a machine needs to boot, to be reached by ssh, and to be managed by Ansible.
BASE_PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "systemd-sysv",
)
_SECONDS = 1800
_OWN_COPIES = ("etc/machine-id", "var/lib/dbus/machine-id", "etc/hostname")


@dataclass(frozen=True, slots=True)
class RootImage:
    """A Debian root. `packages` stand beside `BASE_PACKAGES`."""

    suite: str = "bookworm"
    architecture: str = "amd64"
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises MachineProblem for a suite or an architecture that is not known."""
        if self.suite not in SUITES:
            raise MachineProblem(f"suite {self.suite}: must be one of {', '.join(SUITES)}")
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise MachineProblem(f"architecture {self.architecture}: must be one of {known}")

    @property
    def all_packages(self) -> list[str]:
        """Everything that is installed by name."""
        return sorted({*BASE_PACKAGES, *self.packages})

    @property
    def name(self) -> str:
        """File name of the kept tar: another list of packages is another file."""
        digest = hashlib.sha256("\n".join(self.all_packages).encode()).hexdigest()[:12]
        return f"{self.suite}-{self.architecture}-{digest}.tar"


def cache_directory() -> Path:
    """Where roots are kept: `steelyard/roots` in XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "steelyard" / "roots"


def kept_root(image: RootImage) -> Path:
    """The tar of this root, which is made when it is not there (half a minute, minutes for arm64).

    Only one process makes it; others wait. Raises MachineProblem.
    """
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / image.name
    with (directory / f"{image.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _make(image, path)
    return path


def unpack(tar: Path, root: Path) -> None:
    """Unpack a kept root into an empty directory."""
    root.mkdir(parents=True)
    options = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]
    run(["tar", *options, "-xf", tar, "-C", root], seconds=300)


def _make(image: RootImage, path: Path) -> None:
    scratch = Path(tempfile.mkdtemp(dir=path.parent))
    made = scratch / "root.tar"
    # The first owner of these is the machine that is made from the root.
    forget = [f"--customize-hook=rm -f $1/{name}" for name in _OWN_COPIES]
    forget.append("--customize-hook=rm -f $1/etc/ssh/ssh_host_*")
    forget.append("--customize-hook=touch $1/etc/machine-id")
    packages = ",".join(image.all_packages)
    # Without a mirror it takes Debian's own, with updates and security.
    command: list[str | Path] = ["mmdebstrap", "--variant=apt"]
    command += [f"--architectures={image.architecture}", f"--include={packages}", *forget]
    command += [image.suite, made]
    try:
        run(command, seconds=_SECONDS)
        made.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
