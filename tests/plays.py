"""Runs a play of a test's own on this computer, with the checkout's roles."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


def run_play(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The playbook at a path, by the local connection."""
    return subprocess.run(
        [PLAYBOOK, "-i", "localhost,", "-c", "local", path, *options],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_NOCOLOR": "1",
        },
    )
