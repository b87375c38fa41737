"""The partition table of an image: MBR, or GPT behind a protective one (UEFI 2.10, chapter 5)."""

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from infra.flash.errors import FlashRefused

SECTOR = 512
# So much from the start of an image holds any table that is read here.
HEAD_BYTES = 1024 * 1024

_MBR_FAT = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF})
_PROTECTIVE = 0xEE
_GPT_FAT = frozenset(
    {
        uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),  # EFI system
        uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),  # basic data
    }
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: where it begins, and how long it is, in bytes."""

    start: int
    size: int
    is_fat: bool


def read_partitions(head: bytes) -> list[Partition]:
    """The partitions, by their order in the table. Raises FlashRefused when there is no table."""
    if len(head) < 2 * SECTOR or head[510:512] != b"\x55\xaa":
        raise FlashRefused("the image has no partition table")
    entries = [struct.unpack_from("<B3xB3xII", head, 446 + 16 * index) for index in range(4)]
    if any(kind == _PROTECTIVE for _, kind, _, _ in entries):
        return list(_gpt(head))
    return [
        Partition(start * SECTOR, count * SECTOR, kind in _MBR_FAT)
        for _, kind, start, count in entries
        if kind and count
    ]


def _gpt(head: bytes) -> Iterator[Partition]:
    if head[SECTOR : SECTOR + 8] != b"EFI PART":
        raise FlashRefused("the image's partition table is damaged")
    first, count, size = struct.unpack_from("<QII", head, SECTOR + 72)
    if size < 128 or first * SECTOR + count * size > len(head):
        raise FlashRefused("the image's partition table is damaged")
    for index in range(count):
        raw = head[first * SECTOR + index * size :][:48]
        kind = uuid.UUID(bytes_le=raw[:16])
        start, last = struct.unpack_from("<QQ", raw, 32)
        if kind.int:
            yield Partition(start * SECTOR, (last - start + 1) * SECTOR, kind in _GPT_FAT)


def boot_partition(head: bytes, image_bytes: int) -> Partition:
    """The first FAT partition of an image. Raises FlashRefused when there is none."""
    for partition in read_partitions(head):
        if partition.is_fat:
            if partition.start + partition.size > image_bytes:
                raise FlashRefused("the image's boot partition goes beyond its end")
            return partition
    raise FlashRefused("the image has no FAT partition to write the station's settings on")
