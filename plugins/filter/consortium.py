"""Filters that read the variable `consortium`; the logic is infra.consortium's."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from infra.consortium.changes import leaving, named, without_station  # noqa: E402
from infra.consortium.checks import parse, read_consortium  # noqa: E402
from infra.consortium.errors import InvalidConsortium  # noqa: E402
from infra.consortium.inventory_files import secrets_in_files  # noqa: E402
from infra.consortium.nodes import NodeView, address_of, node_views  # noqa: E402
from infra.consortium.single import on_one_host  # noqa: E402
from infra.consortium.views import (  # noqa: E402
    cells_on,
    firewall_rules,
    kinds_of,
    platform_entities,
    station_at,
)
from infra.plain import plain  # noqa: E402

_GROUPS = {
    "node": "nodes",
    "platform": "platform",
    "smartbox": "smartboxes",
    "loadcell": "loadcells",
}
Hosts = Mapping[str, Mapping[str, Any]]


def consortium_problems(document: Any, hostvars: Hosts) -> list[str]:
    """What is wrong with a consortium's description; empty when nothing is."""
    try:
        read_consortium(plain(document), hostvars)
    except InvalidConsortium as error:
        return error.problems
    return []


def consortium_address(hostvars: Hosts, host: str) -> str:
    """The address by which other members reach a host."""
    return address_of(dict(hostvars[host]), host)


def consortium_address_of(host: str, hostvars: Hosts) -> str:
    """The same with its arguments the other way about, for `map`."""
    return consortium_address(hostvars, host)


def consortium_nodes(document: Any, hostvars: Hosts) -> list[NodeView]:
    """All nodes with addresses, ports and places."""
    return node_views(_parsed(document), _addresses(hostvars))


def consortium_entities(document: Any, hostvars: Hosts, keys: Mapping[str, Any]) -> dict[str, Any]:
    """What the platform is to know: nodes with URLs and keys, customers, stations, devices."""
    spec = _parsed(document)
    return platform_entities(spec, node_views(spec, _addresses(hostvars)), plain(keys))


def consortium_station_at(document: Any, host: str) -> dict[str, Any]:
    """The station whose SmartBox is this host."""
    station = station_at(_parsed(document), str(host))
    if station is None:
        raise AnsibleFilterError(f"{host} is no station's SmartBox in the consortium's description")
    return station


def consortium_named(document: Any, kind: str, name: str) -> list[str]:
    """Why the description has no customer or station of a name; empty when it has."""
    try:
        named(_parsed(document), kind, str(name))
    except InvalidConsortium as error:
        return error.problems
    return []


def consortium_leaving(document: Any, station: str) -> dict[str, Any]:
    """Hosts, node and certificates of a station that is to be removed."""
    return leaving(_parsed(document), str(station))


def consortium_on_one(document: Any, host: str) -> Any:
    """The description with a host wherever it names none."""
    return on_one_host(plain(document), host)


def consortium_without(document: Any, station: str) -> dict[str, Any]:
    """The description without a station."""
    told: dict[str, Any] = without_station(_parsed(document), str(station)).model_dump(mode="json")
    return told


def consortium_cells(document: Any, hostvars: Hosts, host: str) -> list[dict[str, Any]]:
    """The load cells whose communicators run on a host, as role loadcell takes them."""
    return cells_on(_parsed(document), _addresses(hostvars), host)


def consortium_groups(document: Any, host: str) -> list[str]:
    """The inventory's groups that a host belongs to by what it carries."""
    return sorted(f"steelyard_{_GROUPS[kind]}" for kind in kinds_of(_parsed(document), host))


def inventory_secrets(sources: Sequence[str]) -> list[str]:
    """Secrets that stand in plain text in the files of these inventories."""
    return secrets_in_files(list(sources))


def consortium_firewall(
    document: Any,
    hostvars: Hosts,
    host: str,
    monitoring: Sequence[str] = (),
    cell_networks: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The firewall's rules of one host: who may speak to what, as docs/reference/ports.md says."""
    return firewall_rules(
        _parsed(document),
        _addresses(hostvars),
        host,
        monitoring=monitoring,
        cell_networks=cell_networks,
    )


def _addresses(hostvars: Hosts) -> dict[str, str]:
    return {host: consortium_address(hostvars, host) for host in hostvars}


def _parsed(document: Any) -> Any:
    try:
        return parse(plain(document))
    except InvalidConsortium as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {
            "consortium_problems": consortium_problems,
            "consortium_nodes": consortium_nodes,
            "consortium_entities": consortium_entities,
            "consortium_station_at": consortium_station_at,
            "consortium_firewall": consortium_firewall,
            "consortium_address": consortium_address,
            "consortium_address_of": consortium_address_of,
            "consortium_leaving": consortium_leaving,
            "consortium_named": consortium_named,
            "consortium_on_one": consortium_on_one,
            "consortium_without": consortium_without,
            "consortium_cells": consortium_cells,
            "consortium_groups": consortium_groups,
            "inventory_secrets": inventory_secrets,
        }
