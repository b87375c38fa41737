"""Runs playbooks/site.yml on the stack's machines, when something that it is made of has changed.

A stack's state keeps the provider as a reference to this module and its class: do not move them
while stacks are up.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra.sentences import in_a_sentence
from infra.stack.inventory import Run, for_ansible, known_hosts, runs_of

ROOT = Path(__file__).resolve().parents[2]
BACKUP = "playbooks/backup.yml"
_INPUTS = ("inventory", "application", "playbook")
# The secrets of the stack's own store are no business of Ansible's.
_WITHHELD = ("PULUMI_", "AWS_")
# What of Ansible's output tells why it ended.
_TELLING = ("fatal: ", "failed: ", "[ERROR]", "ERROR!")
_LINES_TOLD = 5


class ConfigurationFailed(Exception):
    """The playbook ended with an error; the message has its last words and its log."""


class ConfigurationProvider(ResourceProvider):
    """Inputs: `inventory` (JSON), `application` (digest), `playbook`, `log` (not compared)."""

    serialize_as_secret_always = False

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """The same inventory and the same application need no run."""
        return DiffResult(changes=any(_olds.get(name) != _news.get(name) for name in _INPUTS))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Run it."""
        with in_a_sentence(ConfigurationFailed):
            configure(props)
        return CreateResult("site", dict(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Run it again."""
        with in_a_sentence(ConfigurationFailed):
            configure(_news)
        return UpdateResult(dict(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Take a last backup, where backups have a place: machines are deleted after this."""
        inventory = json.loads(_props["inventory"])
        if not inventory["vars"].get("backup_repository"):
            print("no last backup is taken: backup_repository is not set", flush=True)
            return
        with in_a_sentence(ConfigurationFailed):
            run_playbook(Run(BACKUP, inventory), Path(_props["log"]))


class Configuration(Resource, module="steelyard", name="Configuration"):
    """What the playbooks made of the machines."""

    def __init__(
        self,
        name: str,
        props: dict[str, pulumi.Input[Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(ConfigurationProvider(), name, props, opts)


def configure(props: dict[str, Any]) -> None:
    """Remove the stations that leave, then run the playbook. Raises ConfigurationFailed."""
    log = Path(props["log"])
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log.write_text("", "utf-8")
    for one in runs_of(json.loads(props["inventory"]), props["playbook"]):
        run_playbook(one, log)


def run_playbook(run: Run, log: Path) -> None:
    """Run a playbook; its lines go to the log and to the update's own output.

    The inventory lies in a directory of the operator's alone while it runs. Raises
    ConfigurationFailed.
    """
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        keys = Path(scratch, "known_hosts")
        keys.write_text(known_hosts(run.inventory), "ascii")
        inventory = Path(scratch, "inventory.json")
        inventory.write_text(json.dumps(for_ansible(run.inventory, str(keys), ROOT)), "utf-8")
        command = [_ansible_playbook(), "-i", str(inventory), run.playbook]
        command += ["-e", json.dumps(run.told)] if run.told else []
        started = time.monotonic()
        status, telling = _follow(command, log)
    if status != 0:
        first = f"{run.playbook} ended with status {status}; its output is in {log}"
        raise ConfigurationFailed("\n".join([first, *telling]))
    print(f"{run.playbook} took {time.monotonic() - started:.0f} s", flush=True)


def _follow(command: list[str], log: Path) -> tuple[int, list[str]]:
    """Exit status, and the first lines that tell of an error."""
    telling: list[str] = []
    with (
        log.open("a", encoding="utf-8") as output,
        subprocess.Popen(  # noqa: S603 - our own arguments
            command,
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            output.write(line)
            output.flush()
            if line.strip():
                print(line.rstrip(), flush=True)
            if line.startswith(_TELLING) and len(telling) < _LINES_TOLD:
                telling.append(line.rstrip())
    return process.returncode, telling


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_WITHHELD)}
    programs = str(Path(sys.executable).parent)
    return kept | {
        "PATH": f"{programs}:{kept.get('PATH', '/usr/bin:/bin')}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _ansible_playbook() -> str:
    program = Path(sys.executable).parent / "ansible-playbook"
    if not program.exists():
        raise ConfigurationFailed(f"{program} is not there: install the extra infra")
    return str(program)
