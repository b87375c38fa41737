"""The boot partition: the firmware, and a slot's kernel, initramfs and device trees."""

import gzip
import shutil
from pathlib import Path

from infra.images.definition import IMAGES
from infra.images.errors import ImageProblem
from infra.images.programs import run
from infra.images.station.slot_file import SlotFile
from infra.images.trees import set_times, walk

# For the boards up to the Raspberry Pi 4; a Raspberry Pi 5 has its own in its EEPROM.
FIRMWARE = ("bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat")
DEVICE_TREES = (
    "bcm2837-rpi-3-*.dtb",
    "bcm2837-rpi-zero-2-w.dtb",
    "bcm2837-rpi-cm3*.dtb",
    "bcm2711-*.dtb",
    "bcm2712-*.dtb",
)


def make_slot(*, modules: Path, initramfs: Path, directory: Path, slot: str) -> None:
    """A slot's directory. `modules` is the kernel's, with the kernel and its device trees in it."""
    directory.mkdir(parents=True)
    # The firmware and the emulator unpack it.
    kernel = (modules / "vmlinuz").read_bytes()
    (directory / "vmlinuz").write_bytes(gzip.compress(kernel, 6, mtime=0))
    shutil.copy(initramfs, directory / "initrd")
    words = (IMAGES / "boot/cmdline.txt").read_text("ascii").replace("@SLOT@", slot)
    (directory / "cmdline.txt").write_text(words, "ascii")
    for pattern in DEVICE_TREES:
        found = sorted((modules / "dtb/broadcom").glob(pattern))
        if not found:
            raise ImageProblem(f"the kernel has no device tree {pattern}")
        for one in found:
            shutil.copy(one, directory / one.name)


def make_boot_tree(*, firmware: Path, slot: Path, tree: Path) -> None:
    """Everything of the boot partition; slot b stays empty until the first update."""
    tree.mkdir(parents=True)
    for name in FIRMWARE:
        shutil.copy(firmware / name, tree / name)
    shutil.copy(IMAGES / "boot/config.txt", tree / "config.txt")
    (tree / "slot.txt").write_bytes(SlotFile("a").text())
    shutil.copytree(slot, tree / "a")
    (tree / "steelyard").mkdir()
    shutil.copy(IMAGES / "boot/README.txt", tree / "steelyard/README.txt")


def make_fat(tree: Path, path: Path, *, mebibytes: int, serial: str, epoch: int) -> None:
    """A FAT32 file system of these files, always the same bytes for the same files."""
    set_times(tree, epoch)
    with path.open("wb") as file:
        file.truncate(mebibytes << 20)
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
    run(["mkfs.vfat", "--invariant", "-F", "32", "-n", "STEELYARD", "-i", serial, path])
    for one in walk(tree):
        name = f"::/{one.relative_to(tree)}"
        if one.is_dir():
            run(["mmd", "-i", path, name], environment=environment)
        else:
            run(["mcopy", "-m", "-i", path, one, name], environment=environment)
