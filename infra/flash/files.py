"""Files that somebody named."""

from pathlib import Path

from infra.flash.errors import FlashRefused


def read_file(path: Path) -> bytes:
    """The whole content. Raises FlashRefused."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlashRefused(f"{path}: cannot be read: {error.strerror}") from None
