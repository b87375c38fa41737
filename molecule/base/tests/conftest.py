"""The scenario's two machines, and what one sees of the other."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import scenario
import testinfra
from testinfra.utils.ansible_runner import AnsibleRunner

NEIGHBOURS = {"base-bookworm": "base-trixie", "base-trixie": "base-bookworm"}
PLAY = Path(__file__).with_name("shut_out.yml")
# Connects to every port; prints those that answer, those that refuse, and how many are silent.
SCAN = r"""
import asyncio, json, sys
address, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
found = {"open": [], "refused": [], "silent": 0}
async def look(port, turn):
    async with turn:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 1.5)
            writer.close()
            found["open"].append(port)
        except ConnectionRefusedError:
            found["refused"].append(port)
        except (TimeoutError, asyncio.TimeoutError):
            found["silent"] += 1
async def main():
    turn = asyncio.Semaphore(800)
    await asyncio.gather(*(look(port, turn) for port in range(first, last + 1)))
asyncio.run(main())
print(json.dumps(found))
"""


def scanned(run, address: str, first: int, last: int) -> dict:
    """What a scan finds from where `run` runs a command."""
    return json.loads(run(f"python3 -c '{SCAN}' {address} {first} {last}"))


@pytest.fixture
def neighbour(host):
    """The other machine."""
    return machine(NEIGHBOURS[name_of(host)])


def machine(name: str):
    """A machine, as the account of Ansible."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}")


def name_of(host) -> str:
    """The machine's name in the inventory."""
    return host.backend.host


def address_of(host) -> str:
    """The address by which it is reached."""
    runner = AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"])
    return runner.get_variables(name_of(host))["ansible_host"]


def run_play(**variables) -> tuple[int, str]:
    """Run the play that is to be refused; its exit status and what it said."""
    done = scenario.run_play(PLAY, "-e", json.dumps(variables))
    return done.returncode, done.stdout + done.stderr


def here(command: str) -> str:
    """Run a command on the controller."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    return done.stdout
