"""The station's files on the boot partition, by mtools: nothing is mounted.

They are put in a copy of the partition in memory, of which then what differs is written: the device
stays locked all the while, and no secret comes to a file or to a command line on this computer.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from infra.flash.errors import FlashRefused
from infra.flash.image import CHUNK
from infra.flash.partitions import Partition
from infra.flash.target import Target
from infra.flash.writing import Progress

DIRECTORY = "steelyard"
_PIECE = 64 * 1024
_NOTHING = bytes(CHUNK)


def check_programs() -> None:
    """Raises FlashRefused where mtools is not there."""
    missing = [name for name in ("mcopy", "mdir", "mmd") if shutil.which(name) is None]
    if missing:
        raise FlashRefused(f"{missing[0]} is not here: install Debian's package mtools")


def write_files(
    target: Target, partition: Partition, files: Mapping[str, bytes], progress: Progress
) -> None:
    """Put files into the partition's directory `steelyard`, and read them back.

    Raises FlashRefused.
    """
    with _copied(target, partition) as copy:
        # Asked about one that is there, mmd fails without a word.
        if f"::/{DIRECTORY}/" not in _mtools("mdir", copy, ["-b", "::/"]).decode().split("\n"):
            _mtools("mmd", copy, [f"::{DIRECTORY}"])
        for name, content in files.items():
            _mtools("mcopy", copy, ["-o", "-", f"::{DIRECTORY}/{name}"], content)
        _write_back(target, partition, copy, progress)
    target.forget_cache()
    with _copied(target, partition) as found:
        for name, content in files.items():
            if read_file(found, name) != content:
                raise FlashRefused(
                    f"{target.device.path}: {DIRECTORY}/{name} is not what was written: the card "
                    "is faulty"
                )


def read_file(descriptor: int, name: str) -> bytes:
    """A file of a partition that is open. Raises FlashRefused."""
    return _mtools("mcopy", descriptor, [f"::{DIRECTORY}/{name}", "-"])


@contextmanager
def _copied(target: Target, partition: Partition) -> Iterator[int]:
    """A copy of the partition in memory; what is zeros takes none."""
    copy = os.memfd_create("boot-partition")
    try:
        os.ftruncate(copy, partition.size)
        for place in range(0, partition.size, CHUNK):
            count = min(CHUNK, partition.size - place)
            content = target.read(partition.start + place, count)
            if content != _NOTHING[:count]:
                os.pwrite(copy, content, place)
        yield copy
    finally:
        os.close(copy)


def _write_back(target: Target, partition: Partition, copy: int, progress: Progress) -> None:
    """Write what differs, and compare the whole partition with the copy."""
    for place in range(0, partition.size, _PIECE):
        content = os.pread(copy, min(_PIECE, partition.size - place), place)
        if target.read(partition.start + place, len(content)) != content:
            target.write(partition.start + place, content)
    target.forget_cache()
    for place in range(0, partition.size, CHUNK):
        content = os.pread(copy, min(CHUNK, partition.size - place), place)
        if target.read(partition.start + place, len(content)) != content:
            raise FlashRefused(
                f"{target.device.path}: its boot partition is not what was written: it is faulty"
            )
        progress("settings", place + len(content), partition.size)


def _mtools(program: str, copy: int, words: list[str], content: bytes = b"") -> bytes:
    done = subprocess.run(  # noqa: S603 - mtools
        [program, "-i", f"/proc/self/fd/{copy}", *words],
        input=content,
        capture_output=True,
        check=False,
        pass_fds=[copy],
        env=os.environ | {"MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"},
    )
    if done.returncode != 0:
        told = " ".join(done.stderr.decode(errors="replace").split())
        raise FlashRefused(f"the boot partition cannot be used: {program} says: {told}")
    return done.stdout
