"""The scenario's two machines, and the operator's play."""

import json
from pathlib import Path

import pytest
from scenario import machine, run_play

PLAY = Path(__file__).with_name("certify.yml")
PROGRAM = "/opt/steelyard/station/current/venv/bin/steelyard"


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
        done = run_play(PLAY, "-e", json.dumps(variables))
        return done.returncode, done.stdout + done.stderr

    return run
