"""The root file system: the locked packages and nothing else.

The packages are unpacked by this computer's own dpkg, which takes seconds; only their scripts run
under emulation.
"""

import gzip
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from infra.images.errors import ImageProblem
from infra.images.lock import Lock, Package
from infra.images.programs import run

_BINFMT = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
# Where the packages are found inside the root while the roles are applied to it.
REPOSITORY = Path("/run/steelyard-packages")
# Documentation in other languages and manuals are no use on a station; the licences stay.
_NO_DOCUMENTATION = (
    "--path-exclude=/usr/share/doc/*",
    "--path-include=/usr/share/doc/*/copyright",
    "--path-exclude=/usr/share/man/*",
    "--path-exclude=/usr/share/locale/*",
    "--path-exclude=/usr/share/info/*",
)
# Packages depend on each other in circles, and on what is essential without saying so.
_FORCE = "--force-architecture,depends,conflicts,breaks,configure-any,unsafe-io"
# What every other package's scripts take for granted, in an order that works.
_FIRST = ("base-passwd", "base-files", "libc6", "libc-bin", "dpkg", "perl-base", "mawk")
_INSIDE = """
set -eu
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
cd "$REPOSITORY"
dpkg-deb -x base-files_*.deb "$ROOT"
for one in *.deb; do
  dpkg-deb --fsys-tarfile "$one" | tar -x --numeric-owner --keep-directory-symlink -C "$ROOT"
done
for one in doc man locale info; do rm -rf "$ROOT/usr/share/$one"; mkdir "$ROOT/usr/share/$one"; done
cp "$ROOT/usr/share/base-passwd/passwd.master" "$ROOT/etc/passwd"
cp "$ROOT/usr/share/base-passwd/group.master" "$ROOT/etc/group"
ln -sf mawk "$ROOT/usr/bin/awk"
mkdir -p "$ROOT/var/lib/dpkg/info" "$ROOT/var/lib/dpkg/updates" "$ROOT/etc/dpkg/dpkg.cfg.d"
: >"$ROOT/var/lib/dpkg/status"
printf '#!/bin/sh\\nexit 101\\n' >"$ROOT/usr/sbin/policy-rc.d"
chmod 0755 "$ROOT/usr/sbin/policy-rc.d"
mount -t proc proc "$ROOT/proc"
mount -t sysfs -o ro sysfs "$ROOT/sys"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/dev"
for one in null zero full random urandom; do
  touch "$ROOT/dev/$one"
  mount --bind "/dev/$one" "$ROOT/dev/$one"
done
ln -s /proc/self/fd "$ROOT/dev/fd"
mount -t tmpfs tmpfs "$ROOT/run"
dpkg --root="$ROOT" --log=/dev/null {unpack} --unpack *.deb
dpkg --root="$ROOT" --log=/dev/null {force} --configure {first}
dpkg --root="$ROOT" --log=/dev/null {force} --configure --pending
test -z "$(chroot "$ROOT" dpkg --audit)"
"""


def check_emulation() -> None:
    """Programs for arm64 must run in a root: raises ImageProblem where they do not.

    The handler must be open since it was registered (flag F), as no root has an interpreter.
    """
    text = _BINFMT.read_text("ascii") if _BINFMT.exists() else ""
    flags = next((line for line in text.splitlines() if line.startswith("flags:")), "")
    if not text.startswith("enabled") or "F" not in flags.removeprefix("flags:"):
        raise ImageProblem(
            "arm64 programs do not run here: needs the Debian packages qemu-user-static and"
            " binfmt-support, and binfmt_misc mounted (update-binfmts --enable qemu-aarch64)"
        )


def make_repository(packages: Sequence[Package], cache: Path, directory: Path) -> None:
    """A repository of exactly these files, as apt reads it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for one in packages:
        shutil.copyfile(cache / one.file, directory / one.file)
    index = run(["apt-ftparchive", "packages", "."], directory=directory, seconds=3600)
    (directory / "Packages").write_text(index, "utf-8")
    (directory / "Packages.gz").write_bytes(gzip.compress(index.encode(), mtime=0))


def make_root(lock: Lock, repository: Path, tar: Path) -> None:
    """Install the repository's packages into a tar; minutes for the scripts under emulation."""
    check_emulation()
    root = tar.with_suffix(".tree")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    root.chmod(0o755)
    inside = _INSIDE.format(
        unpack=" ".join(shlex.quote(one) for one in (_FORCE, *_NO_DOCUMENTATION)),
        force=shlex.quote(_FORCE),
        first=" ".join(f"{one}:arm64" for one in _FIRST),
    )
    environment = {
        "ROOT": str(root),
        "REPOSITORY": str(repository),
        "SOURCE_DATE_EPOCH": str(lock.epoch),
    }
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    run([*command, "bash", "-c", inside], seconds=7200, environment=environment)
    scratch = tar.with_suffix(".new")
    run(["tar", "--numeric-owner", "--xattrs", "-C", root, "-cf", scratch, "."], seconds=900)
    scratch.replace(tar)
    shutil.rmtree(root)
    check_emulation()
