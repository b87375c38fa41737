"""What an operator reads when his inventory is wrong: from the playbooks themselves.

The hosts do not exist: a play that touched one would say `unreachable`.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from descriptions import example, hosts

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
PLAYBOOKS = ROOT / "playbooks"


def inventory(directory: Path, described: dict[str, Any], **host_variables: Any) -> Path:
    """Write an inventory of addresses that no network has (RFC 5737)."""
    members = {
        name: {"ansible_host": one["ansible_host"].replace("10.0.0.", "192.0.2.")}
        for name, one in hosts().items()
    }
    for name, variables in host_variables.items():
        members[name.replace("_", "-")] |= variables
    path = directory / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": members, "vars": {"consortium": described}}}))
    return path


def run(playbook: str, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook as its operator would."""
    return subprocess.run(
        [PROGRAM, "-i", place, PLAYBOOKS / f"{playbook}.yml", *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Everything that was printed, on one line."""
    return " ".join((done.stdout + done.stderr).split())


def refused(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    """It failed with this sentence, and before it spoke to any host."""
    told = said(done)
    assert done.returncode == 2, told
    assert sentence in told
    assert "UNREACHABLE" not in told
    assert "changed=0" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("playbook", ["site", "upgrade", "rotate-keys", "restore"])
def test_everything_wrong_is_named_at_once(tmp_path, playbook):
    """Whichever playbook it is."""
    described = example()
    described["customers"][0].pop("admin")
    described["customers"][1]["stations"][0]["name"] = "North"
    place = inventory(tmp_path, described, net_2={"ansible_host": "192.0.2.1"})
    done = run(playbook, place)
    refused(done, "customer acme has no admin node")
    told = said(done)
    assert "2 stations are called north" in told
    assert "3 validators cannot tolerate 1 fault" in told
    assert "the address 192.0.2.1 is used twice: by net-1 and net-2" in told


def test_a_secret_in_plain_text_is_named_by_its_place(tmp_path):
    """In group_vars beside the inventory; its value is not shown."""
    place = inventory(tmp_path, example())
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("tessera_database_password: hunter2-and-more\n")
    done = run("site", place)
    refused(done, "tessera_database_password is a secret in plain text")
    assert "hunter2" not in said(done)


def test_keys_are_not_backed_up_beside_what_they_open(tmp_path):
    """The platform's host needs another place for its keys."""
    place = inventory(tmp_path, example(), platform_1={"backup_repository": "/srv/backup"})
    refused(run("site", place), "platform-1: backup_key_repository must name another place")


@pytest.mark.parametrize(
    ("playbook", "arguments", "sentence"),
    [
        ("add-customer", ["customer=cedar"], "no customer cedar in the description"),
        ("add-customer", [], "no customer (none given) in the description: it has acme, birch"),
        ("add-station", ["station=west"], "no station west in the description"),
        ("remove-station", ["station=west"], "it has north, south"),
        ("rotate-keys", ["rotate=all"], "rotate must be vault, tokens or certificates, and is all"),
        ("restore", ["host=nobody"], "host must name a host of the inventory"),
        ("restore", ["host=acme-1"], "with a backup_repository, and is acme-1"),
        ("single", [], "say which host carries the platform, by -e host=NAME"),
    ],
)
def test_what_a_playbook_is_not_told_it_asks_for(tmp_path, playbook, arguments, sentence):
    """One sentence, with what there is or what is allowed."""
    extra = [word for one in arguments for word in ("-e", one)]
    refused(run(playbook, inventory(tmp_path, example()), *extra), sentence)
