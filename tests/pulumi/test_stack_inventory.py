"""The inventory script tells Ansible what the stack's output has, or one sentence."""

import importlib.util
import json
from pathlib import Path

import pytest
from stacks import stack, tried

ROOT = Path(__file__).parents[2]
SPECIFICATION = importlib.util.spec_from_file_location(
    "stack_inventory", ROOT / "scripts/stack_inventory.py"
)
script = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(script)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A `pulumi` that answers with an output, or fails as the real one does."""
    path = tmp_path / "bin/pulumi"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    monkeypatch.setattr(script, "PLACE", tmp_path / "stacks")

    def answers(output: str, status: int = 0) -> None:
        (tmp_path / "answer").write_text(output)
        where = "" if status == 0 else " >&2"
        path.write_text(f"#!/bin/sh\ncat {tmp_path}/answer{where}\nexit {status}\n")
        path.chmod(0o755)

    return answers


def test_it_lists_the_stacks_hosts(program, tmp_path, capsys):
    """With their variables, and the host keys in a file."""
    _, outputs = tried(stack(1))
    program(json.dumps(outputs["inventory"]))
    assert script.main(["--list"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["all"]["hosts"] == ["customer-1", "network-1", "network-2", "network-3", "platform"]
    assert told["all"]["vars"]["consortium"]["chain_id"] == 1337
    options = told["_meta"]["hostvars"]["platform"]["ansible_ssh_common_args"]
    keys = tmp_path / "stacks/example.known_hosts"
    assert f"UserKnownHostsFile={keys}" in options
    assert len(keys.read_text().splitlines()) == 5


def test_it_lists_the_group_of_the_monitoring_host(program, capsys):
    """Beside all hosts, as Ansible asks a script for groups."""
    _, outputs = tried(stack(1, monitoring=True))
    program(json.dumps(outputs["inventory"]))
    assert script.main(["--list"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steelyard_monitoring"] == {"hosts": ["monitoring"]}
    assert "monitoring" in told["all"]["hosts"]


def test_a_station_that_leaves_is_in_the_description_that_is_asked_for(
    program, monkeypatch, capsys
):
    """And one that does not leave is named."""
    _, outputs = tried(stack(2, leaving=["station-2-1"]))
    program(json.dumps(outputs["inventory"]))
    monkeypatch.setenv("STEELYARD_LEAVING", "station-2-1")
    assert script.main(["--list"]) == 0
    told = json.loads(capsys.readouterr().out)["all"]["vars"]["consortium"]
    assert [one["name"] for one in told["customers"][1]["stations"]] == ["station-2-1"]
    monkeypatch.setenv("STEELYARD_LEAVING", "north")
    assert script.main(["--list"]) == 1
    assert capsys.readouterr().err == "steelyard:leaving does not have station north\n"


def test_without_a_stack_the_programs_own_words_are_told(program, capsys):
    """The last of them."""
    program("warning: x\nerror: no stack selected\n", status=255)
    assert script.main(["--list"]) == 1
    assert capsys.readouterr().err == "error: no stack selected\n"


def test_without_the_program_it_says_so(monkeypatch, tmp_path, capsys):
    """It is no Python package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert script.main(["--list"]) == 1
    assert capsys.readouterr().err == "the program pulumi is not on the PATH\n"


def test_hosts_are_told_all_at_once(capsys):
    """Ansible asks for one only where `_meta` is missing."""
    assert script.main(["--host", "platform"]) == 0
    assert json.loads(capsys.readouterr().out) == {}
