"""Files that somebody named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.flash.errors import FlashRefused


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises FlashRefused, with the file's name, for what cannot be read."""
    try:
        yield
    except OSError as error:
        raise FlashRefused(f"{path}: cannot be read: {error.strerror}") from None


def is_file(path: Path) -> bool:
    """Whether there is a file. Raises FlashRefused where nobody may look."""
    with reading(path):
        return path.is_file()


def read_file(path: Path) -> bytes:
    """The whole content. Raises FlashRefused."""
    with reading(path):
        return path.read_bytes()
