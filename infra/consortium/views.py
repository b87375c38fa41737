"""What roles and the platform are told of a consortium."""

from collections.abc import Iterator, Sequence
from typing import Any

from infra.consortium.exposure import ANYWHERE, EVERY_KIND, EXPOSED, Exposed, Kind
from infra.consortium.models import ConsortiumSpec, StationSpec
from infra.consortium.nodes import NodeView, all_nodes


def station_at(spec: ConsortiumSpec, host: str) -> dict[str, Any] | None:
    """The station whose SmartBox is this host, as described; None where it is no station's."""
    for station in _stations(spec):
        if station.smartbox and station.smartbox.host == host:
            return station.model_dump(mode="json")
    return None


def platform_entities(
    spec: ConsortiumSpec, nodes: Sequence[NodeView], keys: dict[str, Any]
) -> dict[str, Any]:
    """What `steelyard provision` makes. `keys` are the nodes' public keys, by the nodes' names.

    Nodes without keys (they are still to be set up) are left out.
    """
    return {
        "nodes": [_node(one, keys[one["name"]]) for one in nodes if one["name"] in keys],
        "customers": [
            {
                "name": customer.name,
                "admin_node": customer.admin.name if customer.admin else None,
                "users": [user.model_dump(mode="json") for user in customer.users],
                "stations": [_station(station) for station in customer.stations],
            }
            for customer in spec.customers
        ],
    }


def cells_on(spec: ConsortiumSpec, addresses: dict[str, str], host: str) -> list[dict[str, Any]]:
    """The load cells of a host, with the address of their SmartBox."""
    found = []
    for station in _stations(spec):
        if station.smartbox is None:
            continue
        for cell in (one for bridge in station.weighbridges for one in bridge.cells):
            if cell.host == host:
                server = station.smartbox.host
                told: dict[str, Any] = {
                    "serial": cell.serial,
                    "station": station.name,
                    "server_host": addresses.get(server, server),
                }
                if cell.replay:
                    told["replay"] = cell.replay
                if cell.interval_seconds is not None:
                    told["settings"] = {"interval_seconds": cell.interval_seconds}
                found.append(told)
    return found


def kinds_of(spec: ConsortiumSpec, host: str) -> set[Kind]:
    """What a host is, besides the monitoring's, which the inventory's groups say."""
    kinds: set[Kind] = set()
    if host in _node_hosts(spec):
        kinds.add("node")
    if spec.platform.host == host:
        kinds.add("platform")
    for station in _stations(spec):
        if station.smartbox and station.smartbox.host == host:
            kinds.add("smartbox")
        if host in _cell_hosts(station):
            kinds.add("loadcell")
    return kinds


def firewall_rules(
    spec: ConsortiumSpec,
    addresses: dict[str, str],
    host: str,
    *,
    monitoring: Sequence[str] = (),
    cell_networks: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A host's open ports beside ssh, which role base opens to the operators.

    `monitoring` are hosts that collect figures, `cell_networks` the networks of load cells that
    no inventory lists. A rule without sources is left out: nobody may.
    """
    kinds = kinds_of(spec, host) | ({"monitoring"} if host in monitoring else set())
    rules = []
    for exposed in EXPOSED:
        if exposed.name == "ssh":
            continue
        # What every kind has, a host has that is none of them, such as one that ssh goes through.
        if exposed.listens_on != EVERY_KIND and not kinds & set(exposed.listens_on):
            continue
        sources = _sources(spec, exposed, addresses, host, monitoring, cell_networks)
        rules += [
            {
                "name": exposed.name,
                "protocol": exposed.protocol,
                "port": port,
                "sources": sources,
                "comment": exposed.purpose,
            }
            for port in _ports(spec, exposed, host)
            if sources
        ]
    return rules


def _ports(spec: ConsortiumSpec, exposed: Exposed, host: str) -> list[int]:
    if not exposed.per_slot:
        return [exposed.port]
    slots = sorted(node.slot for node, *_ in all_nodes(spec) if node.host == host)
    return [exposed.port + slot for slot in slots]


def _sources(
    spec: ConsortiumSpec,
    exposed: Exposed,
    addresses: dict[str, str],
    host: str,
    monitoring: Sequence[str],
    cell_networks: Sequence[str],
) -> list[str]:
    if exposed.callers == "everyone":
        return [ANYWHERE]
    if exposed.callers == "node":
        callers = _node_hosts(spec)
    elif exposed.callers == "platform":
        callers = {spec.platform.host}
    elif exposed.callers == "monitoring":
        callers = set(monitoring)
    else:
        callers = {
            cell
            for station in _stations(spec)
            if station.smartbox and station.smartbox.host == host
            for cell in _cell_hosts(station)
        }
    # What a host says to itself never meets the firewall.
    found = {addresses.get(one, one) for one in callers if one != host}
    if exposed.callers == "station-cells":
        found |= set(cell_networks)
    return sorted(found)


def _node_hosts(spec: ConsortiumSpec) -> set[str]:
    return {node.host for node, *_ in all_nodes(spec)}


def _stations(spec: ConsortiumSpec) -> Iterator[StationSpec]:
    for customer in spec.customers:
        yield from customer.stations


def _cell_hosts(station: StationSpec) -> set[str]:
    return {cell.host for one in station.weighbridges for cell in one.cells if cell.host}


def _node(node: NodeView, keys: dict[str, Any]) -> dict[str, Any]:
    base = f"https://{node['address']}:{node['gateway_port']}/{node['name']}"
    return {
        "name": node["name"],
        "role": node["role"],
        "rpc_url": f"{base}/rpc",
        "tessera_url": f"{base}/tessera",
        "tessera_public_key": keys["tessera_public_key"],
    }


def _station(station: StationSpec) -> dict[str, Any]:
    return {
        "name": station.name,
        "node": station.node.name,
        "smartbox": station.smartbox.serial if station.smartbox else None,
        "weighbridges": [
            {
                "name": bridge.name,
                "scale_serial": bridge.scale_serial,
                "scale_interval": bridge.scale_interval_grams,
                "max_capacity": bridge.max_capacity_grams,
                "cells": [cell.serial for cell in bridge.cells],
            }
            for bridge in station.weighbridges
        ],
    }
