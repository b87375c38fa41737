"""The stack's inventory: what Ansible reads, with host keys and without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict

from infra.consortium.changes import without_station
from infra.consortium.checks import parse
from infra.stack.layout import MONITORING_GROUP, Layout

# Stations that leave, and the description that still has them, as their removal wants it.
LEAVING = "steelyard_leaving"
REMOVE_STATION = "playbooks/remove-station.yml"
BUNDLES = ("steelyard_server_bundle", "steelyard_station_bundle")


class HostFacts(BaseModel):
    """How a machine is reached. `address`: by operator and members alike; `host_key`: public.

    `jump`: through which machine ssh goes, when the address is a private one; that one `forwards`.
    `inside`: by which members reach it, when that is another address.
    """

    model_config = ConfigDict(frozen=True)

    address: IPv4Address
    host_key: str
    user: str
    key_file: str
    jump: str | None = None
    forwards: bool = False
    inside: IPv4Address | None = None


class HostVariables(TypedDict, total=False):
    """A host's variables. `steelyard_jump` and the host key are read by `ssh_files` below."""

    ansible_host: str
    ansible_user: str
    ansible_ssh_private_key_file: str
    steelyard_host_key: str
    steelyard_jump: str
    base_ssh_tcp_forwarding: str
    steelyard_address: str


class Inventory(TypedDict):
    """Hosts by their names, the variables of all, and groups of hosts.

    `groups` has those that do not follow from the description; inventories that older versions put
    on record have none.
    """

    hosts: dict[str, HostVariables]
    vars: dict[str, Any]
    groups: NotRequired[dict[str, list[str]]]


def inventory_of(
    layout: Layout,
    facts: Mapping[str, HostFacts],
    *,
    ssh_sources: list[str],
    variables: Mapping[str, Any],
) -> Inventory:
    """The inventory. `variables` are the target's; the configuration's win over them."""
    config = layout.config
    hosts = {name: _host(one) for name, one in facts.items()}
    for name in layout.groups.get(MONITORING_GROUP, []):
        # Its pages have no log-in, and are reached by ssh -L.
        hosts[name]["base_ssh_tcp_forwarding"] = "local"
    for name, outside in config.outside.items():
        hosts[name] = _host(
            HostFacts(
                address=outside.address,
                host_key=outside.host_key,
                user=outside.user,
                key_file=next(iter(facts.values())).key_file,
            )
        )
    told: dict[str, Any] = {
        "consortium": layout.document,
        "steelyard_ssh_sources": [*(str(one) for one in config.operators), *ssh_sources],
        **variables,
        **config.variables,
    }
    if config.application is not None:
        told["steelyard_server_bundle"] = config.application.server_bundle
        if config.application.station_bundle is not None:
            told["steelyard_station_bundle"] = config.application.station_bundle
    if layout.leaving.validators:
        told["quorum_drop_others"] = True
    if layout.leaving.stations:
        told[LEAVING] = {
            "consortium": layout.spec.model_dump(mode="json"),
            "stations": sorted(layout.leaving.stations),
        }
    return {"hosts": dict(sorted(hosts.items())), "vars": told, "groups": layout.groups}


def _host(facts: HostFacts) -> HostVariables:
    made: HostVariables = {
        "ansible_host": str(facts.address),
        "ansible_user": facts.user,
        "ansible_ssh_private_key_file": facts.key_file,
        "steelyard_host_key": facts.host_key,
    }
    if facts.jump is not None:
        made["steelyard_jump"] = facts.jump
    if facts.forwards:
        made["base_ssh_tcp_forwarding"] = "local"
    if facts.inside is not None:
        made["steelyard_address"] = str(facts.inside)
    return made


def known_hosts(inventory: Inventory) -> str:
    """The host keys of all hosts, as ssh reads them."""
    return "".join(
        f"{one['ansible_host']} {one['steelyard_host_key']}\n"
        for _, one in sorted(inventory["hosts"].items())
    )


@dataclass(frozen=True, slots=True)
class Run:
    """A playbook with the inventory that it is run on, and variables that it is told beside."""

    playbook: str
    inventory: Inventory
    told: dict[str, str] = field(default_factory=dict)


def runs_of(inventory: Inventory, playbook: str) -> list[Run]:
    """What is run for an inventory: stations that leave are removed first, one after another.

    Each removal has a description with the station and without those that went before it.
    """
    leaving = inventory["vars"].get(LEAVING)
    runs: list[Run] = []
    if leaving is not None:
        spec = parse(leaving["consortium"])
        for station in leaving["stations"]:
            described = {"consortium": spec.model_dump(mode="json")}
            own: Inventory = {
                **inventory,
                "vars": {**inventory["vars"], **described},
            }
            runs.append(Run(REMOVE_STATION, own, {"station": station}))
            spec = without_station(spec, station)
    return [*runs, Run(playbook, inventory)]


def for_ansible(inventory: Inventory, known_hosts_file: str, root: Path) -> dict[str, Any]:
    """The inventory as Ansible's YAML plugin reads it; ssh takes host keys from the file only.

    `root`: the checkout. Roles look for bundles beside the playbooks, so their paths start there.
    """
    checked = (
        f"-o UserKnownHostsFile={known_hosts_file} -o GlobalKnownHostsFile=/dev/null "
        "-o StrictHostKeyChecking=yes"
    )
    hosts: dict[str, dict[str, Any]] = {}
    for name, one in inventory["hosts"].items():
        options = checked
        jump = one.get("steelyard_jump")
        if jump is not None:
            gate = inventory["hosts"][jump]
            # ProxyJump would take neither these options nor the key along.
            options += (
                f' -o ProxyCommand="ssh {checked} -i {gate["ansible_ssh_private_key_file"]} '
                f'-W %h:%p {gate["ansible_user"]}@{gate["ansible_host"]}"'
            )
        hosts[name] = {**one, "ansible_ssh_common_args": options}
    paths = {
        name: str(root / inventory["vars"][name]) for name in BUNDLES if name in inventory["vars"]
    }
    groups: dict[str, Any] = {
        name: {"hosts": {one: {} for one in members}}
        for name, members in inventory.get("groups", {}).items()
    }
    return {"all": {"hosts": hosts, "vars": inventory["vars"] | paths, "children": groups}}
