"""The roles, applied to a root by Ansible's chroot connection in namespaces that end with it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.images.definition import IMAGES
from infra.images.errors import ImageProblem
from infra.images.inside import MOUNTS, NAMESPACES, Inside, check_emulation
from infra.images.programs import run
from infra.images.root import REPOSITORY
from infra.images.trees import remove

_SCRIPT = """
set -eu
{mounts}
mkdir -p "$ROOT{repository}"
mount --bind -o ro "$REPOSITORY" "$ROOT{repository}"
exec {command}
"""


def unpack_root(tar: Path, root: Path) -> None:
    """A fresh tree from a kept root."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    root.chmod(0o755)
    options = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]
    run(["tar", *options, "-xf", tar, "-C", root], seconds=900)


def apply_roles(
    root: Path, repository: Path, variables: dict[str, Any], log: Path, inside: Inside
) -> None:
    """Run images/root.yml on the root. Ansible's own words go to the log and to standard error."""
    check_emulation()
    given = log.with_suffix(".json")
    told = {**variables, "image_environment": inside.environment}
    given.write_text(json.dumps(told), "utf-8")
    # apt finds the locked packages only. No script starts anything: the root has its policy-rc.d.
    remove(root / "etc/apt/sources.list.d/0000deb.list")
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{REPOSITORY} ./\n", "ascii")
    # The covering apt would take itself for this computer's.
    architecture = root / "etc/apt/apt.conf.d/00architecture"
    architecture.write_text('APT::Architecture "arm64";\nAPT::Architectures {"arm64";};\n', "ascii")
    inventory = log.with_suffix(".inventory.json")
    host = {"ansible_connection": "community.general.chroot", "ansible_host": str(root)}
    inventory.write_text(json.dumps({"all": {"hosts": {"station-root": host}}}), "utf-8")
    ansible = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    ansible += ["-e", f"@{given}"]
    script = _SCRIPT.format(
        mounts=MOUNTS + inside.cover(root, later=True),
        repository=REPOSITORY,
        command=shlex.join([*ansible, str(IMAGES / "root.yml")]),
    )
    environment = {
        **os.environ,
        "ROOT": str(root),
        "REPOSITORY": str(repository),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_TIMEOUT": "120",
    }
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*NAMESPACES, "bash", "-c", script],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=IMAGES.parent,
            env=environment,
            check=False,
        )
    if done.returncode != 0:
        text = log.read_text("utf-8", "replace")
        failed = [line for line in text.splitlines() if "fatal:" in line or "ERROR" in line]
        last = (failed or text.splitlines() or ["it said nothing"])[-1]
        raise ImageProblem(f"the roles were not applied ({log}): {last[:600]}")
    inside.leave(root)
    architecture.unlink()
    check_emulation()
