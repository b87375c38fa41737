"""What the scenarios' tests share: machines by name, the operator's plays, confined units."""

import os
import re
import subprocess
from pathlib import Path

import testinfra

# What systemd-analyze may say of a unit of ours at most.
MOST_EXPOSURE = 2.5


def machine(name: str):
    """A machine of the scenario, as root."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return testinfra.get_host(
        f"ansible://{name}?ansible_inventory={inventory}&force_ansible=true", sudo=True
    )


def run_play(play: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a play on the scenario's machines, as their operator would."""
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], play, *arguments]
    return subprocess.run(  # noqa: S603 - our own play
        command, capture_output=True, text=True, check=False
    )


def assert_confined(host, unit: str) -> None:
    """The unit's exposure, as systemd-analyze has it, is as low as every unit's must be."""
    said = host.run(f"systemd-analyze security --no-pager {unit}.service").stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert level is not None
    assert float(level[1]) <= MOST_EXPOSURE, said
