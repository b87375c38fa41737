"""Write an update into the slot that does not run, and have it tried at the next start."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .bundle import ROOT, contents, open_bundle
from .errors import SlotProblem
from .slot_file import SlotFile, other, read, write


@dataclass(frozen=True, slots=True)
class Station:
    """Where things are. `roots` are the slots' partitions."""

    running: str
    boot: Path
    roots: dict[str, Path]
    key: Path
    board: str


def install(station: Station, file: IO[bytes]) -> str:
    """The version that the other slot has now. Raises SlotProblem, and then it is not tried.

    The boot partition must be writable. Until the last step slot.txt names the root that runs.
    """
    slot = other(station.running)
    if read(station.boot).next != station.running:
        raise SlotProblem(
            f"root-{station.running} is itself on trial: wait until it says that it is well"
        )
    directory = station.boot / slot
    with tempfile.TemporaryDirectory() as scratch:
        manifest, tar = open_bundle(file, station.key, Path(scratch))
        if manifest.board != station.board:
            raise SlotProblem(f"the update is for {manifest.board}, and this is {station.board}")
        if ROOT not in manifest.files or "boot/vmlinuz" not in manifest.files:
            raise SlotProblem("the update has no root, or no kernel")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for name, content in contents(tar, manifest):
            if name == ROOT:
                _write(station.roots[slot], content, os.O_WRONLY)
            else:
                _write(directory / name.partition("/")[2], content, os.O_WRONLY | os.O_CREAT)
    words = (directory / "cmdline.txt").read_text("ascii")
    file_of_slot = iter([words.replace("@SLOT@", slot).encode("ascii")])
    _write(directory / "cmdline.txt", file_of_slot, os.O_WRONLY | os.O_TRUNC)
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
        finally:
            os.close(file)
    except OSError as error:
        raise SlotProblem(f"{path}: {error.strerror}") from None
