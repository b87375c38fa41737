"""What the scenarios' tests share: machines by name, the operator's plays, confined units."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import testinfra
import yaml

# What systemd-analyze may say of a unit of ours at most.
MOST_EXPOSURE = 2.5


def address(name: str) -> str:
    """A machine's address on the wire between the machines."""
    return str(_variables(name)["ansible_host"])


def machine(name: str):
    """A machine of the scenario, as root, by ssh itself: Ansible takes seconds for a command."""
    told = _variables(name)
    machines = Path(told["ansible_private_key_file"]).parent
    options = (
        f"-o UserKnownHostsFile={machines}/known-hosts -o StrictHostKeyChecking=yes "
        "-o ControlMaster=auto -o ControlPersist=60s -o ControlPath=/tmp/.steelyard-%C "
        "-o ServerAliveInterval=5 -o ServerAliveCountMax=2"
    )
    return testinfra.get_host(
        f"ssh://{told['ansible_user']}@{told['ansible_host']}",
        ssh_identity_file=told["ansible_private_key_file"],
        ssh_extra_args=options,
        timeout=30,
        sudo=True,
    )


def run_play(play: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a play on the scenario's machines, as their operator would."""
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], play, *arguments]
    return subprocess.run(  # noqa: S603 - our own play
        command, capture_output=True, text=True, check=False
    )


def _variables(name: str) -> dict[str, Any]:
    inventory = yaml.safe_load(Path(os.environ["MOLECULE_INVENTORY_FILE"]).read_text("utf-8"))
    return dict(inventory["all"]["hosts"][name])


def must_run(play: Path, *arguments: str) -> str:
    """Run a play, which must succeed; gives its output."""
    done = run_play(play, *arguments)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Everything that a play printed, on one line: long sentences are wrapped."""
    return " ".join((done.stdout + done.stderr).split())


def assert_confined(host, unit: str) -> None:
    """The unit's exposure, as systemd-analyze has it, is as low as every unit's must be."""
    said = host.run(f"systemd-analyze security --no-pager {unit}.service").stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert level is not None
    assert float(level[1]) <= MOST_EXPOSURE, said
