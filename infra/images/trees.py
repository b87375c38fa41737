"""What is done with whole trees of files so that the same input gives the same bytes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def walk(root: Path) -> Iterator[Path]:
    """Every file and directory below, in one order, without following links."""
    for entry in sorted(root.iterdir(), key=lambda path: path.name):
        yield entry
        if entry.is_dir() and not entry.is_symlink():
            yield from walk(entry)


def clamp_times(root: Path, epoch: int) -> None:
    """No file is younger than `epoch`; directories last, as writing changes theirs."""
    for path in [*walk(root), root]:
        if path.lstat().st_mtime > epoch:
            os.utime(path, (epoch, epoch), follow_symlinks=False)


def set_times(root: Path, epoch: int) -> None:
    """Every file is exactly of `epoch`."""
    for path in [*walk(root), root]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def remove(path: Path) -> None:
    """Remove a file, a link or a tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
