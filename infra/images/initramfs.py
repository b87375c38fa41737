"""The initramfs: busybox, the drivers of the card, and images/initramfs/init."""

import fnmatch
import lzma
import shutil
from collections.abc import Iterable
from pathlib import Path

from infra.images.errors import ImageProblem
from infra.images.programs import run
from infra.images.trees import set_times, walk


def depends_on(table: str) -> dict[str, list[str]]:
    """What modules.dep says: a module's path, and those of all that it needs."""
    found = {}
    for line in table.splitlines():
        name, _, needs = line.partition(":")
        found[name] = needs.split()
    return found


def chosen(
    dependencies: dict[str, list[str]], builtin: Iterable[str], patterns: Iterable[str]
) -> list[str]:
    """Modules whose path fits a pattern, with all that they need.

    Raises ImageProblem for a pattern that fits none, nor anything that is built into the kernel.
    """
    found: set[str] = set()
    inside = list(builtin)
    for pattern in patterns:
        fitting = fnmatch.filter(dependencies, f"kernel/{pattern}.ko*")
        if not fitting and not fnmatch.filter(inside, f"kernel/{pattern}.ko"):
            raise ImageProblem(f"initramfs: the kernel has no module {pattern}")
        for one in fitting:
            found |= {one, *dependencies[one]}
    return sorted(found)


def make_initramfs(
    *, busybox: Path, modules: Path, init: Path, patterns: Iterable[str], epoch: int, path: Path
) -> None:
    """Write it, compressed by xz as the kernel reads that.

    `modules` is a kernel's directory of modules, which depmod has seen; its name is the version.
    """
    scratch = path.with_suffix(".tree")
    shutil.rmtree(scratch, ignore_errors=True)
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        (scratch / name).mkdir(parents=True)
    shutil.copy(busybox, scratch / "bin/busybox")
    shutil.copy(init, scratch / "init")
    (scratch / "init").chmod(0o755)
    (scratch / "bin/busybox").chmod(0o755)
    own = scratch / "lib/modules" / modules.name
    dependencies = depends_on((modules / "modules.dep").read_text("utf-8"))
    builtin = (modules / "modules.builtin").read_text("utf-8").split()
    for one in chosen(dependencies, builtin, patterns):
        copy = own / one.removesuffix(".xz")
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = (modules / one).read_bytes()
        copy.write_bytes(lzma.decompress(content) if one.endswith(".xz") else content)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(modules / name, own / name)
    run(["depmod", "-b", scratch, modules.name])
    set_times(scratch, epoch)
    path.write_bytes(
        lzma.compress(_cpio(scratch), lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=6)
    )
    shutil.rmtree(scratch)


def _cpio(tree: Path) -> bytes:
    """An archive as the kernel reads it, all files root's."""
    names = "".join(f"{one.relative_to(tree)}\0" for one in walk(tree)).encode()
    archive = tree.with_suffix(".cpio")
    command = ["cpio", "--null", "--create", "--format=newc", "--reproducible", "--quiet"]
    run([*command, "--owner=0:0", "-F", archive], directory=tree, given=names)
    content = archive.read_bytes()
    archive.unlink()
    return content
