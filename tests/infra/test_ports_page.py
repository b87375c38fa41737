"""docs/reference/ports.md is the table itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date():
    """`make docs` writes it."""
    command = [sys.executable, ROOT / "scripts/ports_reference.py", "--check"]
    assert subprocess.run(command, check=False).returncode == 0
