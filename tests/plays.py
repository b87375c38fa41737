"""Runs the checkout's playbooks on this computer, and plays of a test's own with its roles."""

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


def user_environment() -> dict[str, str]:
    """Words without colours, and none about Ansible's own future."""
    return os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "0"}


def run_checkout(*words: str | Path, **environment: str) -> tuple[int, str]:
    """A playbook of the checkout's, without a terminal: its status, what it says on one line."""
    done = subprocess.run(
        [PLAYBOOK, *words],
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=user_environment() | environment,
    )
    return done.returncode, " ".join(done.stdout.split())
