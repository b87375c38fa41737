"""`python -m infra.machines`: make, list and end a group of machines from the shell.

    python -m infra.machines up --directory D --machines machines.json
    python -m infra.machines list|down --directory D
    python -m infra.machines stop|start|kill|remove --directory D NAME

`machines.json` is a list of {"name", "suite", "architecture", "packages", "online"}.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from infra.machines.errors import MachineProblem
from infra.machines.group import MachineGroup, MachineSpec
from infra.machines.roots import RootImage


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 1 with one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m infra.machines", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "list", "stop", "start", "kill", "remove"])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--machines", type=Path, help="JSON list of machines, for up")
    parser.add_argument("name", nargs="?")
    options = parser.parse_intermixed_args(arguments)
    try:
        _act(options)
    except MachineProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _act(options: argparse.Namespace) -> None:
    group = MachineGroup(options.directory)
    if options.action == "up":
        group.up(_specs(options.machines))
    elif options.action == "down":
        group.down()
    elif options.action != "list":
        if options.name is None:
            raise MachineProblem(f"{options.action} needs the machine's name")
        getattr(group, options.action)(options.name)
    print(json.dumps(_listed(group)))


def _listed(group: MachineGroup) -> dict[str, Any]:
    return {
        "key_file": str(group.key_file),
        "known_hosts_file": str(group.known_hosts_file),
        "machines": [{"name": one.name, "address": one.address} for one in group.machines.values()],
    }


def _specs(path: Path | None) -> list[MachineSpec]:
    if path is None:
        raise MachineProblem("up needs --machines")
    try:
        document = json.loads(path.read_text("utf-8"))
        return [
            MachineSpec(
                one["name"],
                RootImage(
                    one.get("suite", "bookworm"),
                    one.get("architecture", "amd64"),
                    tuple(one.get("packages", ())),
                ),
                bool(one.get("online", True)),
            )
            for one in document
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise MachineProblem(f"{path} is no list of machines") from None


if __name__ == "__main__":
    sys.exit(main())
