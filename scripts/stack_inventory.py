#!/usr/bin/env python3
"""A stack's inventory for Ansible: `ansible-playbook -i scripts/stack_inventory.py ...`.

Reads the output `inventory` of the stack that is selected, or that STEELYARD_STACK names, by the
pulumi program. Host keys are written beside the stack's other files, and ssh takes no others.
STEELYARD_LEAVING names a station that leaves: the description has it then, for
playbooks/remove-station.yml.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.stack.inventory import Inventory, for_ansible, known_hosts, runs_of  # noqa: E402

PLACE = ROOT / ".cache" / "stacks"


class NoInventory(Exception):
    """There is no stack, or it has no inventory."""


def stack_inventory(stack: str | None) -> Inventory:
    """The output of the stack. Raises NoInventory."""
    command = ["pulumi", "stack", "output", "inventory", "--json", "--non-interactive"]
    command += ["--cwd", str(ROOT), *(["--stack", stack] if stack else [])]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise NoInventory("the program pulumi is not on the PATH") from None
    if done.returncode != 0:
        raise NoInventory(done.stderr.strip().splitlines()[-1])
    told: Inventory = json.loads(done.stdout)
    return told


def described(inventory: Inventory, station: str | None) -> Inventory:
    """The inventory as the removal of a station wants it. Raises NoInventory."""
    if station is None:
        return inventory
    for run in runs_of(inventory, ""):
        if run.told.get("station") == station:
            return run.inventory
    raise NoInventory(f"steelyard:leaving does not have station {station}")


def listed(document: dict[str, Any]) -> dict[str, Any]:
    """The inventory as Ansible asks it of a script."""
    everything = document["all"]
    return {
        "_meta": {"hostvars": everything["hosts"]},
        "all": {"hosts": sorted(everything["hosts"]), "vars": everything["vars"]},
        **{name: {"hosts": sorted(one["hosts"])} for name, one in everything["children"].items()},
    }


def main(arguments: list[str]) -> int:
    """`--list` prints everything, `--host NAME` nothing more. Exit status 1 with a sentence."""
    if "--host" in arguments:
        print("{}")
        return 0
    stack = os.environ.get("STEELYARD_STACK")
    try:
        inventory = described(stack_inventory(stack), os.environ.get("STEELYARD_LEAVING"))
    except NoInventory as problem:
        print(problem, file=sys.stderr)
        return 1
    PLACE.mkdir(parents=True, exist_ok=True)
    keys = PLACE / f"{inventory['vars']['consortium']['name']}.known_hosts"
    keys.write_text(known_hosts(inventory), "ascii")
    print(json.dumps(listed(for_ansible(inventory, str(keys), ROOT))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
