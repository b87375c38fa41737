"""The lock: every package of an image, with its version and the SHA-256 of its file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from infra.images.definition import IMAGES
from infra.images.errors import ImageProblem

LOCK = IMAGES / "packages.lock"
USES = ("root", "payload", "tool")
_HEAD = "# Written by `python -m infra.images lock` from station.toml; do not edit.\n"


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A Debian package's file, and its use.

    `root` is installed, `payload` unpacked, and `tool` works while the image is built.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    use: str

    @property
    def file(self) -> str:
        """The name that apt gives the file: an epoch's colon does not stand in it as such."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True)
class Lock:
    """`epoch` is the time that every file of the image has, in seconds since 1970."""

    epoch: int
    packages: tuple[Package, ...]

    def used_for(self, use: str) -> list[Package]:
        """The packages of one use."""
        return [one for one in self.packages if one.use == use]


def read_lock(path: Path = LOCK) -> Lock:
    """Raises ImageProblem."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        raise ImageProblem(f"{path} is not there: `python -m infra.images lock` makes it") from None
    words = [line.split() for line in lines if line and not line.startswith("#")]
    try:
        epoch = int(dict(words[:1])["epoch"])
        packages = tuple(Package(*one) for one in words[1:])
    except (KeyError, TypeError, ValueError):
        raise ImageProblem(f"{path} is no lock: `python -m infra.images lock` makes one") from None
    for one in packages:
        if len(one.sha256) != hashlib.sha256().digest_size * 2 or one.use not in USES:
            raise ImageProblem(f"{path}: {one.name} has no SHA-256, or no use ({', '.join(USES)})")
    return Lock(epoch, packages)


def write_lock(lock: Lock, path: Path = LOCK) -> None:
    """Sorted, so that a change shows as what it is."""
    lines = [
        f"{one.name} {one.version} {one.architecture} {one.sha256} {one.use}\n"
        for one in sorted(lock.packages)
    ]
    path.write_text(f"{_HEAD}epoch {lock.epoch}\n{''.join(lines)}", "utf-8")
