"""The playbook is run with the stack's inventory, its lines are told, and its failure is one."""

import json
from pathlib import Path

import pytest
from stacks import KEY

from infra.program.configuring import ConfigurationFailed, ConfigurationProvider

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Tell what is known
      ansible.builtin.copy:
        dest: {told}
        mode: "0600"
        content: >-
          {{{{ dict(address=ansible_host, chain=consortium.chain_id,
          keys=lookup('ansible.builtin.file', known),
          env=lookup('ansible.builtin.pipe', 'env')) | to_json }}}}
      vars:
        known: >-
          {{{{ ansible_ssh_common_args | split('UserKnownHostsFile=') | last
          | split(' ') | first }}}}
    - name: Fail where it is wanted
      ansible.builtin.assert:
        that: not broken
        fail_msg: the reason why
"""


@pytest.fixture
def props(tmp_path):
    """What the provider is given: one host, which is this computer."""
    play = tmp_path / "play.yml"
    play.write_text(PLAY.format(told=tmp_path / "told.json"))
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_connection": "local",
        "steelyard_host_key": KEY,
    }
    inventory = {
        "hosts": {"one": host},
        "vars": {"consortium": {"chain_id": 1337}, "broken": False},
    }
    return {
        "inventory": json.dumps(inventory),
        "application": "1",
        "playbook": str(play),
        "log": str(tmp_path / "logs/site.log"),
    }


def test_it_is_run_with_the_inventory(props, tmp_path, monkeypatch, capsys):
    """Numbers stay numbers, host keys are in a file, and the store's passphrase is withheld."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter3")
    made = ConfigurationProvider().create(props)
    assert made.outs == props
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["chain"] == 1337
    assert told["keys"] == f"127.0.0.1 {KEY}"
    assert "hunter" not in told["env"]
    said = capsys.readouterr().out
    assert "TASK [Tell what is known]" in said
    assert "TASK [Tell what is known]" in Path(props["log"]).read_text()
    assert oct((tmp_path / "logs").stat().st_mode & 0o777) == "0o700"


def test_nothing_of_the_inventory_is_left(props, monkeypatch, tmp_path):
    """It lies in a directory that is gone when the run has ended."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    ConfigurationProvider().create(props)
    assert list(scratch.iterdir()) == []


def test_a_failure_is_told_with_its_reason(props):
    """The playbook, its exit status, where its output is, and what Ansible said."""
    inventory = json.loads(props["inventory"])
    inventory["vars"]["broken"] = True
    with pytest.raises(ConfigurationFailed) as caught:
        ConfigurationProvider().update("site", props, {**props, "inventory": json.dumps(inventory)})
    first, *telling = str(caught.value).splitlines()
    assert first == f"{props['playbook']} ended with status 2; its output is in {props['log']}"
    assert any("the reason why" in one for one in telling)


@pytest.mark.parametrize("name", ["inventory", "application", "playbook"])
def test_it_is_run_again_when_something_has_changed(props, name):
    """And not for another log."""
    provider = ConfigurationProvider()
    assert provider.diff("site", props, {**props, "log": "/elsewhere"}).changes is False
    assert provider.diff("site", props, {**props, name: "other"}).changes is True


def test_a_last_backup_is_taken_before_machines_go(props, tmp_path, monkeypatch, capsys):
    """Where backups have a place; its failure stops the end."""
    provider = ConfigurationProvider()
    monkeypatch.setattr("infra.program.configuring.BACKUP", props["playbook"])
    provider.delete("site", props)
    assert capsys.readouterr().out == "no last backup is taken: backup_repository is not set\n"
    inventory = json.loads(props["inventory"])
    inventory["vars"]["backup_repository"] = "/backups"
    (tmp_path / "logs").mkdir()
    provider.delete("site", {**props, "inventory": json.dumps(inventory)})
    assert "TASK [Tell what is known]" in capsys.readouterr().out
    inventory["vars"]["broken"] = True
    with pytest.raises(ConfigurationFailed, match="ended with status 2"):
        provider.delete("site", {**props, "inventory": json.dumps(inventory)})
