"""What a device is, as lsblk tells it, and why it may not be erased."""

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.flash.errors import FlashRefused

_COLUMNS = "NAME,PATH,KNAME,TYPE,SIZE,RO,RM,TRAN,MODEL,SERIAL,FSTYPE,LABEL,MOUNTPOINTS,PKNAME"
# Where a running system has its own files.
_SYSTEM = ("/", "/boot", "/boot/efi", "/boot/firmware", "/usr", "/var", "/etc")
_DISKS = frozenset({"disk", "loop"})


@dataclass(frozen=True, slots=True)
class Part:
    """What stands on a device: a partition, or what is made of one."""

    path: str
    kind: str
    file_system: str
    label: str
    mounted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or a file that stands for one."""

    path: str
    kind: str
    size: int
    model: str = ""
    serial: str = ""
    transport: str = ""
    removable: bool = False
    read_only: bool = False
    parent: str = ""
    mounted: tuple[str, ...] = ()
    parts: tuple[Part, ...] = field(default=())

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.kind == "file"

    @property
    def identity(self) -> str:
        """What tells whether another device is at the path now."""
        return f"{self.kind} {self.size} {self.model} {self.serial}".strip()

    def described(self) -> str:
        """For the question before it is erased: size, model, and what is on it."""
        words = [self.path, in_units(self.size), self.model or self.kind]
        if self.serial:
            words.append(f"serial {self.serial}")
        if self.transport:
            words.append(self.transport)
        if not self.is_file and not self.removable and self.transport not in ("usb", "mmc"):
            words.append("NOT REMOVABLE")
        held = [
            f"{one.path} {one.file_system or one.kind}" + f" '{one.label}'" * bool(one.label)
            for one in self.parts
        ]
        return f"{', '.join(words)}; on it: {', '.join(held) if held else 'no partitions'}"

    def as_json(self) -> dict[str, Any]:
        """For the playbook."""
        return asdict(self) | {"described": self.described(), "identity": self.identity}


def run_lsblk() -> str:
    """All block devices as JSON. Raises FlashRefused."""
    try:
        done = subprocess.run(  # noqa: S603 - its own words only
            ["lsblk", "--json", "--bytes", "--tree", "--output", _COLUMNS],  # noqa: S607 - found on the PATH
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        raise FlashRefused("lsblk failed: it is in Debian's package util-linux") from None
    return done.stdout


def inspect(
    path: Path, lsblk: Callable[[], str] = run_lsblk, blocks: Path = Path("/sys/block")
) -> Device:
    """What is at a path, by its one name. Raises FlashRefused for what cannot be flashed.

    `blocks` is the kernel's directory of block devices.
    """
    try:
        path = path.resolve()
        status = path.stat()
    except OSError as error:
        raise FlashRefused(f"{path}: {error.strerror or error}: no such device") from None
    if stat.S_ISREG(status.st_mode):
        for loop in blocks.glob("loop*/loop/backing_file"):
            if loop.read_text("utf-8").rstrip("\n") == str(path):
                device = loop.parts[-3]
                raise FlashRefused(f"{path} is in use, as /dev/{device}: losetup --detach it first")
        read_only = not os.access(path, os.W_OK)
        return Device(str(path), "file", status.st_size, read_only=read_only)
    if not stat.S_ISBLK(status.st_mode):
        raise FlashRefused(f"{path} must be a disk or a card, as /dev/sdb, or a regular file")
    return find(str(path), lsblk())


def find(path: str, told: str) -> Device:
    """The device of a path in lsblk's answer. Raises FlashRefused."""
    for entry in _everything(json.loads(told)["blockdevices"]):
        if entry.get("path") == path:
            return _device(entry)
    raise FlashRefused(f"{path}: lsblk knows no such device")


def check(device: Device, wanted: int) -> None:
    """Refuse a device that must not be erased, or on which `wanted` bytes have no room.

    Raises FlashRefused.
    """
    path = device.path
    places = [*device.mounted, *(place for part in device.parts for place in part.mounted)]
    if any(place in _SYSTEM for place in places):
        raise FlashRefused(f"{path} is the disk that this computer runs from, and is never erased")
    if device.kind == "part":
        whole = device.parent or "its disk"
        raise FlashRefused(f"{path} is a partition: name the whole device, {whole}")
    if not device.is_file and device.kind not in _DISKS:
        raise FlashRefused(f"{path} is of the kind {device.kind}: it must be a disk or a card")
    if places:
        told = ", ".join(sorted(set(places)))
        raise FlashRefused(f"{path} is in use ({told}): unmount it first")
    busy = [one for one in device.parts if one.kind not in ("part", *_DISKS)]
    if busy:
        told = ", ".join(f"{one.path} ({one.kind})" for one in busy)
        raise FlashRefused(f"{path} is in use by {told}: stop that first")
    if device.read_only:
        raise FlashRefused(f"{path} is read-only: look at the card's switch, or at your rights")
    if not device.is_file and device.size == 0:
        raise FlashRefused(f"{path} has no medium: put a card in")
    if device.size < wanted:
        raise FlashRefused(
            f"{path} is too small: it has {device.size} bytes, and the image needs {wanted} "
            f"({in_units(wanted)})"
        )


def _everything(entries: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for entry in entries:
        yield entry
        yield from _everything(entry.get("children", []))


def _device(entry: Mapping[str, Any]) -> Device:
    below = list(_everything(entry.get("children", [])))
    parent = entry.get("pkname") or ""
    return Device(
        path=str(entry["path"]),
        kind=str(entry["type"]),
        size=int(entry["size"] or 0),
        model=(entry.get("model") or "").strip(),
        serial=(entry.get("serial") or "").strip(),
        transport=entry.get("tran") or "",
        removable=_is_true(entry.get("rm")),
        read_only=_is_true(entry.get("ro")),
        parent=f"/dev/{parent}" if parent else "",
        mounted=_mounted(entry),
        parts=tuple(
            Part(
                str(one["path"]),
                str(one["type"]),
                one.get("fstype") or "",
                one.get("label") or "",
                _mounted(one),
            )
            for one in below
        ),
    )


def _mounted(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(place for place in entry.get("mountpoints") or () if place)


def _is_true(value: object) -> bool:
    # Older ones of lsblk write "0" and "1".
    return value in (True, "1", 1)


def in_units(size: int) -> str:
    """A number of bytes as a card's wrapping has it, as 31.9 GB."""
    power = 0
    while size >= 1000 ** (power + 1) and power < 4:
        power += 1
    unit = ("bytes", "kB", "MB", "GB", "TB")[power]
    return f"{size / 1000**power:.1f} {unit}" if power else f"{size} {unit}"
