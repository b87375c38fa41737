"""What is installed, told apart by its contents."""

import hashlib
from pathlib import Path

from infra.stack.errors import InvalidStack
from infra.stack.models import ApplicationConfig

# What a run of the playbooks is made of, beside the bundles.
_PARTS = ("playbooks", "roles", "plugins", "infra/consortium", "infra/firewall.py", "ansible.cfg")
_LEFT_OUT = {"__pycache__", "README.md"}


def application_version(application: ApplicationConfig, root: Path) -> str:
    """A digest that changes with a bundle, a role or a playbook. Raises InvalidStack.

    `root`: the checkout, which relative paths start from.
    """
    digest = hashlib.sha256()
    bundles = {
        "server_bundle": application.server_bundle,
        "station_bundle": application.station_bundle,
    }
    problems = []
    for name, file in bundles.items():
        if file is None:
            continue
        path = root / file
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        else:
            kind = name.removesuffix("_bundle")
            problems.append(
                f"steelyard:application.{name} {file} is not there: make it by "
                f"`python scripts/bundle.py {kind} -o dist`"
            )
    if problems:
        raise InvalidStack(problems)
    for part in _PARTS:
        place = root / part
        for path in sorted([place] if place.is_file() else place.rglob("*")):
            if path.is_file() and not _LEFT_OUT & set(path.relative_to(root).parts):
                digest.update(f"{path.relative_to(root)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
