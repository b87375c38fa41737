"""Files that somebody named."""

from pathlib import Path

from infra.flash.errors import FlashRefused


def is_file(path: Path) -> bool:
    """Whether there is a file. Raises FlashRefused where nobody may look."""
    try:
        return path.is_file()
    except OSError as error:
        raise FlashRefused(f"{path}: cannot be read: {error.strerror}") from None


def read_file(path: Path) -> bytes:
    """The whole content. Raises FlashRefused."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlashRefused(f"{path}: cannot be read: {error.strerror}") from None
