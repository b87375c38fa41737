"""The inventory is what Ansible reads: always the same bytes, checked host keys, no secrets."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from stacks import KEY, stack, tried

from infra.consortium.inventory_files import secrets_in_files
from infra.stack.inventory import for_ansible, known_hosts, runs_of

GOLDEN = Path(__file__).parent / "golden"
ANSIBLE_INVENTORY = Path(sys.executable).parent / "ansible-inventory"


@pytest.mark.parametrize("target", ["local", "aws"])
def test_the_inventory_is_the_one_on_record(target):
    """A change of it is a run of the playbooks on every stack: it must be meant.

    After a change that is meant: write `made` into the file.
    """
    document = stack(2, target=target, leaving=["station-2-1"], monitoring=True)
    document["application"] = {"server_bundle": "dist/server.tar"}
    document["outside"] = {"box": {"address": "203.0.113.7", "host_key": KEY}}
    _, outputs = tried(document)
    made = json.dumps(outputs["inventory"], indent=2, sort_keys=True) + "\n"
    assert made == (GOLDEN / f"inventory-{target}.json").read_text("utf-8")


def test_ansible_reads_it(tmp_path):
    """Hosts, variables, and bundles by whole paths."""
    document = stack(1) | {"application": {"server_bundle": "dist/server.tar"}}
    _, outputs = tried(document)
    path = tmp_path / "inventory.json"
    keys = tmp_path / "known_hosts"
    path.write_text(json.dumps(for_ansible(outputs["inventory"], str(keys), tmp_path)))
    done = subprocess.run(
        [ANSIBLE_INVENTORY, "-i", path, "--list"], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)["_meta"]["hostvars"]
    assert set(told) == {"customer-1", "network-1", "network-2", "network-3", "platform"}
    assert told["platform"]["steelyard_server_bundle"] == f"{tmp_path}/dist/server.tar"
    assert "StrictHostKeyChecking=yes" in told["platform"]["ansible_ssh_common_args"]
    assert secrets_in_files([str(path)]) == []


def test_ansible_reads_its_groups_and_a_databases_place(tmp_path):
    """The group of the monitoring host; what is told of the database is no secret in plain text."""
    _, outputs = tried(stack(1, target="aws", monitoring=True))
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps(for_ansible(outputs["inventory"], "/keys", tmp_path)))
    done = subprocess.run(
        [ANSIBLE_INVENTORY, "-i", path, "--list"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["steelyard_monitoring"] == {"hosts": ["monitoring"]}
    assert secrets_in_files([str(path)]) == []


def test_an_inventory_on_record_without_groups_is_read():
    """The last backup of a stack that an older version made."""
    _, outputs = tried(stack(1))
    older = {name: one for name, one in outputs["inventory"].items() if name != "groups"}
    assert for_ansible(older, "/keys", Path("/"))["all"]["children"] == {}


def test_host_keys_are_those_of_the_machines():
    """One line a host, by its address."""
    _, outputs = tried(stack(1))
    lines = known_hosts(outputs["inventory"]).splitlines()
    hosts = outputs["inventory"]["hosts"].values()
    assert sorted(lines) == sorted(f"{one['ansible_host']} {KEY}" for one in hosts)


def test_operators_come_through_the_gate():
    """Whose own key is checked as well, which ssh's option -J would not do with these options."""
    _, outputs = tried(stack(1, target="aws"))
    hosts = for_ansible(outputs["inventory"], "/keys", Path("/"))["all"]["hosts"]
    gate = hosts["gate"]["ansible_host"]
    told = hosts["customer-1"]["ansible_ssh_common_args"]
    assert f"-W %h:%p admin@{gate}" in told
    assert told.count("StrictHostKeyChecking=yes") == 2
    assert "ProxyCommand" not in hosts["gate"]["ansible_ssh_common_args"]
    assert hosts["gate"]["base_ssh_tcp_forwarding"] == "local"


def test_stations_that_leave_are_removed_while_the_description_has_them():
    """One after another, each without those before it; then the rest is set up."""
    _, outputs = tried(stack(5, leaving=["customer-2", "station-4-1"]))
    runs = runs_of(outputs["inventory"], "site.yml")
    assert [(one.playbook.split("/")[-1], one.told) for one in runs] == [
        ("remove-station.yml", {"station": "station-2-1"}),
        ("remove-station.yml", {"station": "station-4-1"}),
        ("site.yml", {}),
    ]

    def stations(run):
        customers = run.inventory["vars"]["consortium"]["customers"]
        return [station["name"] for one in customers for station in one["stations"]]

    everyone = [f"station-{number}-1" for number in range(1, 6)]
    assert stations(runs[0]) == everyone
    assert stations(runs[1]) == [one for one in everyone if one != "station-2-1"]
    assert stations(runs[2]) == ["station-1-1", "station-3-1", "station-5-1"]
