"""Write an update into the slot that does not run, and have it tried at the next start."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .bundle import ROOT, contents, open_bundle
from .errors import SlotProblem
from .slot_file import SlotFile, is_on_trial, other, read, write

# Without any of them a slot does not come to where the other one is written back.
_BOOT_FILES = ("boot/vmlinuz", "boot/initrd", "boot/cmdline.txt")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Station:
    """Where things are. `roots` are the slots' partitions."""

    running: str
    boot: Path
    roots: dict[str, Path]
    key: Path
    board: str


def install(station: Station, file: IO[bytes], note: Callable[[], None] = lambda: None) -> str:
    """The version that the other slot has now. Raises SlotProblem, and then it is not tried.

    `note` is called once the update is whole, before it is to be tried: what is noted of a station
    whose root is itself on trial stays as it is.
    The boot partition must be writable. Until the last step slot.txt names the root that runs.
    """
    slot = other(station.running)
    now = read(station.boot)
    if is_on_trial(now, station.running):
        raise SlotProblem(
            f"root-{station.running} is itself on trial: wait until it says that it is well"
        )
    if now.next != station.running:
        # One that was installed and never started gives way.
        write(station.boot, SlotFile(station.running))
    directory = station.boot / slot
    with tempfile.TemporaryDirectory() as scratch:
        manifest, tar = open_bundle(file, station.key, Path(scratch))
        if manifest.board != station.board:
            raise SlotProblem(f"the update is for {manifest.board}, and this is {station.board}")
        if missing := sorted({ROOT, *_BOOT_FILES} - set(manifest.files)):
            raise SlotProblem(f"the update has no {missing[0]}")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for name, content in contents(tar, manifest):
            if name == ROOT:
                path, flags = station.roots[slot], os.O_WRONLY
            else:
                path, flags = directory / name.partition("/")[2], os.O_WRONLY | os.O_CREAT
            _write(path, content, flags)
            _check(path, *manifest.files[name])
    words = (directory / "cmdline.txt").read_text("ascii")
    of_slot = words.replace("@SLOT@", slot).encode("ascii")
    _write(directory / "cmdline.txt", iter([of_slot]), os.O_WRONLY | os.O_TRUNC)
    _check(directory / "cmdline.txt", len(of_slot), hashlib.sha256(of_slot).hexdigest())
    note()
    os.sync()
    write(station.boot, SlotFile(slot, f"try {slot}"))
    return manifest.version


def _write(path: Path, content: Iterator[bytes], flags: int) -> None:
    try:
        file = os.open(path, flags, 0o600)
        try:
            for block in content:
                view = memoryview(block)
                while view:
                    view = view[os.write(file, view) :]
            os.fsync(file)
            # Else it is memory that is read back.
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
    except OSError as error:
        raise SlotProblem(f"{path}: {error.strerror}") from None


def _check(path: Path, size: int, sha256: str) -> None:
    """Read back from the card: what does not come to a kernel has no way back."""
    digest, left = hashlib.sha256(), size
    try:
        with path.open("rb") as file:
            while left and (block := file.read(min(left, _CHUNK))):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise SlotProblem(f"{path}: {error.strerror}") from None
    if digest.hexdigest() != sha256:
        raise SlotProblem(f"{path} is not what was written: the card is worn out")
