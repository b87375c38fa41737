"""The scenario's two machines, and the operator's play."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import testinfra

PLAY = Path(__file__).with_name("certify.yml")
PROGRAM = "/opt/steelyard/station/current/venv/bin/steelyard"


def machine(name: str):
    """A machine, as root."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return testinfra.get_host(
        f"ansible://{name}?ansible_inventory={inventory}&force_ansible=true", sudo=True
    )


@pytest.fixture(scope="session")
def authority():
    """The authorities' host."""
    return machine("pki-authority")


@pytest.fixture(scope="session")
def node():
    """The host with certificates."""
    return machine("pki-host")


@pytest.fixture(scope="session")
def certify():
    """Run the operator's play with variables; its exit status and what it said."""

    def run(**variables):
        inventory = os.environ["MOLECULE_INVENTORY_FILE"]
        command = ["ansible-playbook", "-i", inventory, PLAY, "-e", json.dumps(variables)]
        done = subprocess.run(  # noqa: S603 - our own play
            command, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run
