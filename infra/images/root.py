"""The root file system: the locked packages and nothing else.

The packages are unpacked by this computer's own dpkg, which takes seconds; only their scripts run
under emulation.
"""

import gzip
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from infra.images.inside import MOUNTS, NAMESPACES, Inside, check_emulation
from infra.images.lock import Lock, Package
from infra.images.programs import run

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
_UNPACK = """
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
# Each station makes its own host keys: where there are files, the package makes none.
mkdir -p "$ROOT/etc/ssh"
for one in rsa ecdsa ed25519; do : >"$ROOT/etc/ssh/ssh_host_${{one}}_key"; done
{mounts}
dpkg --root="$ROOT" --log=/dev/null {unpack} --unpack *.deb
"""
_CONFIGURE = """
set -eu
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
{mounts}
{cover}
dpkg --root="$ROOT" --log=/dev/null {force} --configure {first}
dpkg --root="$ROOT" --log=/dev/null {force} --configure --pending
test -z "$(chroot "$ROOT" dpkg --audit)"
"""


def make_repository(packages: Sequence[Package], cache: Path, directory: Path) -> None:
    """A repository of exactly these files, as apt reads it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for one in packages:
        shutil.copyfile(cache / one.file, directory / one.file)
    index = run(["apt-ftparchive", "packages", "."], directory=directory, seconds=3600)
    (directory / "Packages").write_text(index, "utf-8")
    (directory / "Packages.gz").write_bytes(gzip.compress(index.encode(), mtime=0))


def make_root(lock: Lock, repository: Path, tar: Path, inside: Inside) -> None:
    """Install the repository's packages into a tar; minutes for the scripts under emulation."""
    check_emulation()
    root = tar.with_suffix(".tree")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    root.chmod(0o755)
    environment = {
        "ROOT": str(root),
        "REPOSITORY": str(repository),
        "SOURCE_DATE_EPOCH": str(lock.epoch),
        **inside.environment,
    }
    unpack = _UNPACK.format(
        mounts=MOUNTS, unpack=" ".join(shlex.quote(one) for one in (_FORCE, *_NO_DOCUMENTATION))
    )
    run([*NAMESPACES, "bash", "-c", unpack], seconds=3600, environment=environment)
    # What can be covered is only known now.
    configure = _CONFIGURE.format(
        mounts=MOUNTS,
        cover=inside.cover(root),
        force=shlex.quote(_FORCE),
        first=" ".join(f"{one}:arm64" for one in _FIRST),
    )
    run([*NAMESPACES, "bash", "-c", configure], seconds=7200, environment=environment)
    inside.leave(root)
    scratch = tar.with_suffix(".new")
    run(["tar", "--numeric-owner", "--xattrs", "-C", root, "-cf", scratch, "."], seconds=900)
    scratch.replace(tar)
    shutil.rmtree(root)
    check_emulation()
