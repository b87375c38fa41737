"""The card: a table of four partitions, and what is in them."""

import os
from dataclasses import dataclass
from pathlib import Path

from infra.images.errors import ImageProblem
from infra.images.programs import run

ALIGNMENT = 4  # MiB: an erase block of the cards that are sold
_BLOCK = 4096
# Fixed, so that the same input gives the same bytes. Nothing is found by them.
DISK_ID = "0x57e317ad"
FAT_SERIAL = "57e317ad"
DATA_UUID = "6f6f2f0d-7c6d-4c5f-9a3b-57e317ad0004"


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes in MiB. Partition 1 is BOOT, 2 and 3 the roots, 4 the data."""

    boot: int
    root: int
    data: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Of the partitions, by number."""
        return (self.boot, self.root, self.root, self.data)

    @property
    def starts(self) -> tuple[int, int, int, int]:
        """Where the partitions begin, in MiB."""
        first = ALIGNMENT
        second = first + self.boot
        return (first, second, second + self.root, second + 2 * self.root)

    @property
    def total(self) -> int:
        """Of the whole image."""
        return ALIGNMENT + sum(self.sizes)

    def table(self) -> str:
        """For sfdisk. An MBR: a Raspberry Pi 3's boot ROM reads no other."""
        lines = [f"label: dos\nlabel-id: {DISK_ID}\nunit: sectors\n"]
        for number, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True), 1):
            kind = "c, bootable" if number == 1 else "83"
            lines.append(f"start={start * 2048}, size={size * 2048}, type={kind}\n")
        return "".join(lines)


def make_data(path: Path, *, mebibytes: int, epoch: int) -> None:
    """An empty file system with a journal, which grows with its partition."""
    path.unlink(missing_ok=True)
    options = f"hash_seed={DATA_UUID},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    command: list[str | Path] = ["mkfs.ext4", "-q", "-F", "-L", "steelyard-data", "-U", DATA_UUID]
    # The nodes of a small file system would be those of one full of small files, on a large card.
    command += ["-b", str(_BLOCK), "-i", "16384", "-m", "1", "-e", "remount-ro"]
    command += ["-E", options, "-O", "^orphan_file", path]
    run([*command, f"{mebibytes}M"], environment={"E2FSPROGS_FAKE_TIME": str(epoch)})


def make_squashfs(tree: Path, path: Path, epoch: int) -> None:
    """A root as it is read: compressed, without a journal, and never written."""
    path.unlink(missing_ok=True)
    options = ["-noappend", "-quiet", "-no-progress", "-no-exports", "-comp", "zstd", "-b", "128K"]
    options += ["-Xcompression-level", "6"]
    environment = {"SOURCE_DATE_EPOCH": str(epoch)}
    run(["mksquashfs", tree, path, *options], seconds=3600, environment=environment)


def make_card(path: Path, layout: Layout, parts: dict[int, Path]) -> None:
    """Write the image, with holes where there are zeros. `parts` are file systems by partition."""
    with path.open("wb") as file:
        file.truncate(layout.total << 20)
    run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", path],
        given=layout.table().encode(),
    )
    with path.open("r+b") as card:
        for number, part in sorted(parts.items()):
            size = part.stat().st_size
            if size > layout.sizes[number - 1] << 20:
                limit = layout.sizes[number - 1]
                raise ImageProblem(
                    f"{part.name} is {size >> 20} MiB, partition {number} {limit} MiB"
                )
            _copy(part, card.fileno(), layout.starts[number - 1] << 20)


def _copy(part: Path, card: int, offset: int) -> None:
    empty = bytes(_BLOCK)
    with part.open("rb") as source:
        while block := source.read(_BLOCK):
            if block != empty:
                os.pwrite(card, block, offset)
            offset += len(block)
