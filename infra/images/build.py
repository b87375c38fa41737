"""The steps of a build, each from files to files, in a working directory that is kept."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.images.apply import apply_roles, unpack_root
from infra.images.archive import (
    Archive,
    Mirror,
    fetch_locked,
    own_mirror,
    resolved,
    unpack_locked,
)
from infra.images.boot import make_boot_tree, make_fat, make_slot
from infra.images.card import FAT_SERIAL, Layout, make_card, make_data, make_squashfs
from infra.images.definition import IMAGES, read_definition
from infra.images.errors import ImageProblem
from infra.images.finish import finish
from infra.images.initramfs import make_initramfs
from infra.images.inside import unpack_tools
from infra.images.lock import Lock, read_lock, write_lock
from infra.images.outputs import Outputs, hand_over
from infra.images.programs import run
from infra.images.root import make_repository, make_root
from infra.images.sbom import python_distributions
from infra.images.signing import public_key
from infra.images.update import make_update

BOARD = "raspberry-pi-arm64"


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where a build works. `packages` and `roots` may be shared by many builds."""

    directory: Path
    cache: Path

    @property
    def packages(self) -> Path:
        """Debian's files."""
        return self.cache / "packages"

    @property
    def root(self) -> Path:
        """The tree that becomes the root."""
        return self.directory / "root"

    @property
    def payload(self) -> Path:
        """What is unpacked and not installed."""
        return self.directory / "payload"


def mirror_of(snapshot: str) -> Mirror:
    """A snapshot's, by the URL of its directory of archives; this computer's own without one."""
    if not snapshot:
        return own_mirror()
    base, _, stamp = snapshot.rstrip("/").rpartition("/")
    base = base.removesuffix("/debian")
    if not stamp or not base:
        raise ImageProblem("image_snapshot must be a URL that ends in a snapshot's date")
    return Mirror(f"{base}/debian/{stamp}", f"{base}/debian-security/{stamp}")


def lock(workshop: Workshop, snapshot: str, epoch: int) -> int:
    """Resolve the packages anew; how many there are."""
    image, tools = _archives(workshop, snapshot)
    image.update()
    tools.update()
    packages = resolved(image, workshop.packages, image.resolve())
    packages += resolved(tools, workshop.packages, tools.resolve_tools())
    write_lock(Lock(epoch, tuple(packages)))
    return len(packages)


def root(workshop: Workshop, snapshot: str) -> Path:
    """The root of the locked packages, which is made when this lock's is not there."""
    locked = read_lock()
    fetch_locked(_archives(workshop, snapshot), locked, workshop.packages)
    tar = _root_tar(workshop, locked)
    if not tar.exists():
        inside = unpack_tools(locked, workshop.packages, workshop.cache / "tools")
        repository = _repository(workshop)
        make_repository(locked.used_for("root"), workshop.packages, repository)
        make_root(locked, repository, tar, inside)
    return tar


def roles(workshop: Workshop, variables: dict[str, Any]) -> None:
    """A fresh root with the roles applied to it."""
    locked = read_lock()
    inside = unpack_tools(locked, workshop.packages, workshop.cache / "tools")
    if not (_repository(workshop) / "Packages").exists():
        make_repository(locked.used_for("root"), workshop.packages, _repository(workshop))
    unpack_root(_root_tar(workshop, locked), workshop.root)
    log = workshop.directory / "roles.log"
    os.environ["SOURCE_DATE_EPOCH"] = str(locked.epoch)
    apply_roles(workshop.root, _repository(workshop), variables, log, inside)


def card(workshop: Workshop, outputs: Outputs, *, key: Path, url: str, commit: str) -> None:
    """The image and everything beside it, from the root with its roles."""
    definition, locked = read_definition(), read_lock()
    if not key.exists():
        raise ImageProblem(f"{key} is not there: `python -m infra.images key {key}` makes one")
    work, epoch = workshop.directory, locked.epoch
    outputs.directory.mkdir(parents=True, exist_ok=True)
    unpack_locked(locked.used_for("payload"), workshop.packages, workshop.payload)
    public_key(key, work / "update-key.pem")
    release = {"version": outputs.version, "board": BOARD, "commit": commit}
    modules = finish(
        workshop.root,
        definition,
        payload=workshop.payload,
        key=work / "update-key.pem",
        release=release,
        epoch=epoch,
    )
    make_initramfs(
        busybox=workshop.payload / "usr/bin/busybox",
        modules=_indexed(modules),
        init=IMAGES / "initramfs/init",
        patterns=definition.initramfs.modules,
        epoch=epoch,
        path=work / "initrd",
    )
    for name in ("slot", "boot"):
        shutil.rmtree(work / name, ignore_errors=True)
    make_slot(modules=modules, initramfs=work / "initrd", directory=work / "slot", slot="a")
    firmware = workshop.payload / "usr/lib/raspi-firmware"
    make_boot_tree(firmware=firmware, slot=work / "slot", tree=work / "boot")
    sizes = definition.card
    layout = Layout(sizes.boot, sizes.root, sizes.data)
    boot, squashfs, data = work / "boot.fat", work / "root.squashfs", work / "data.ext4"
    make_fat(work / "boot", boot, mebibytes=layout.boot, serial=FAT_SERIAL, epoch=epoch)
    make_squashfs(workshop.root, squashfs, epoch)
    make_data(data, mebibytes=layout.data, epoch=epoch)
    image = outputs.path(".img")
    make_card(image, layout, {1: boot, 2: squashfs, 4: data})
    found = python_distributions(workshop.root)
    hand_over(image, outputs, lock=locked, distributions=found, key=key, url=url)
    make_update(
        outputs.path(".update"),
        squashfs=squashfs,
        slot=work / "slot",
        key=key,
        version=outputs.version,
        board=BOARD,
        epoch=epoch,
    )
    shutil.copyfile(work / "update-key.pem", outputs.directory / "update-key.pem")


def _archives(workshop: Workshop, snapshot: str) -> tuple[Archive, Archive]:
    """The image's, and that of the tools."""
    definition, mirror = read_definition(), mirror_of(snapshot)
    image = Archive(workshop.cache / "apt", definition, mirror, definition.architecture)
    return image, Archive(workshop.cache / "apt", definition, mirror, "amd64")


def _indexed(modules: Path) -> Path:
    """The payload's directory of modules with depmod's tables, which the package has not."""
    link = modules.parents[3] / "lib"
    if not link.exists():
        link.symlink_to("usr/lib")
    run(["depmod", "-b", modules.parents[3], modules.name])
    return modules


def _root_tar(workshop: Workshop, locked: Lock) -> Path:
    # Another way of making it is another root.
    parts = sorted([*locked.used_for("root"), *locked.used_for("tool")])
    text = "".join(f"{one}\n" for one in parts)
    programs = [Path(__file__).with_name(name).read_bytes() for name in ("root.py", "inside.py")]
    digest = hashlib.sha256(b"".join([text.encode(), *programs])).hexdigest()[:16]
    (workshop.cache / "roots").mkdir(parents=True, exist_ok=True)
    return workshop.cache / "roots" / f"{digest}.tar"


def _repository(workshop: Workshop) -> Path:
    return workshop.directory / "repository"
