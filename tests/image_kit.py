"""What the tests of images share."""

import hashlib
import shutil
from pathlib import Path

import pytest

BOARD = "test-board"


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips where a program is missing, and says which."""
    missing = [
        name for name in programs if shutil.which(name, path="/usr/sbin:/usr/bin:/bin") is None
    ]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")
