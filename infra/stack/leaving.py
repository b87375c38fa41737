"""Who leaves a consortium, and what may be deleted: a validator majority is never lost."""

from collections.abc import Collection
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from infra.consortium.models import ConsortiumSpec
from infra.consortium.nodes import all_nodes


@dataclass(frozen=True, slots=True)
class Leaving:
    """Those that leave. `nodes`: all their ledger nodes; `stations`: theirs, by name."""

    network: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    stations: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    validators: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.nodes)


def quorum_size(validators: int) -> int:
    """How many of so many validators must answer for a block (QBFT: two thirds, rounded up)."""
    return -(-2 * validators // 3)


def leaving_of(spec: ConsortiumSpec, names: Collection[str]) -> tuple[Leaving, list[str]]:
    """Who is meant by the names, and what is wrong with that."""
    network = {node.name for node in spec.network} & set(names)
    customers = {one.name for one in spec.customers} & set(names)
    stations = {
        station.name
        for customer in spec.customers
        for station in customer.stations
        if customer.name in customers or station.name in names
    }
    nodes, validators = set(), set()
    for node, role, customer, station in all_nodes(spec):
        if node.name in network or customer in customers or station in stations:
            nodes.add(node.name)
            if role != "station":
                validators.add(node.name)
    known = network | customers | stations
    problems = [
        f"steelyard:leaving names {one}, which is no node of the network, customer or station"
        for one in names
        if one not in known
    ]
    problems += _majority(spec, validators)
    if network == {node.name for node in spec.network}:
        problems.append("steelyard:leaving has all nodes of the network: one must stay")
    return (
        Leaving(
            *(frozenset(one) for one in (network, customers, stations, nodes, validators)),
        ),
        problems,
    )


def _majority(spec: ConsortiumSpec, leaving: Collection[str]) -> list[str]:
    voting = {node.name for node, role, *_ in all_nodes(spec) if role != "station"}
    left = len(voting) - len(leaving)
    if leaving and left < quorum_size(len(voting)):
        return [
            (
                f"{len(leaving)} of {len(voting)} validators would leave at once, and {left} could "
                f"make no block (it takes {quorum_size(len(voting))}): let fewer leave at a time"
            )
        ]
    return []


class Members(BaseModel):
    """Who was a member at an update. `hosts`: nodes by machine; `left`: nodes that have left."""

    model_config = ConfigDict(frozen=True)

    platform: str
    hosts: dict[str, list[str]]
    validators: list[str]
    stations: dict[str, str]  # a station's node, and its name
    left: list[str] = []


def members_of(spec: ConsortiumSpec, leaving: Leaving) -> Members:
    """The members of a consortium, for the stack to remember."""
    hosts: dict[str, list[str]] = {}
    validators: list[str] = []
    stations: dict[str, str] = {}
    for node, _, _, station in all_nodes(spec):
        hosts.setdefault(node.host, []).append(node.name)
        if station is None:
            validators.append(node.name)
        else:
            stations[node.name] = station
    return Members(
        platform=spec.platform.host,
        hosts=hosts,
        validators=validators,
        stations=stations,
        left=sorted(leaving.nodes),
    )


def refusals(old: Members, new: Members, *, protect: bool) -> list[str]:
    """Why an update must not be: members would go that have not left, or too many would.

    `protect`: whether the stack keeps tickets that matter. The majority is kept in any case.
    """
    going = _going(old, new)
    remaining = [one for one in old.validators if one not in going]
    voting = [one for one in old.validators if one not in old.left]
    staying = [one for one in remaining if one in voting]
    problems = []
    if len(staying) < quorum_size(len(voting)):
        problems.append(
            f"the update would end {len(voting) - len(staying)} of {len(voting)} validators, and "
            f"{len(staying)} could make no block: name them in steelyard:leaving first, and update"
        )
    if not protect:
        return problems
    for node in sorted(going - set(old.left)):
        what = f"station {old.stations[node]}" if node in old.stations else "a validator"
        problems.append(
            f"node {node} ({what}) would be deleted without having left: name its station, "
            "customer or itself in steelyard:leaving, update, and then take it out"
        )
    if old.platform != new.platform:
        problems.append(
            f"the platform would move from {old.platform} to {new.platform}, and its entity "
            "database would stay behind: restore a backup there, with steelyard:protect false for "
            "one update"
        )
    return problems


def lost(old: Members, new: Members) -> list[str]:
    """What an update deletes, a sentence for each machine and node."""
    found = []
    going = _going(old, new)
    for host, nodes in old.hosts.items():
        gone = [one for one in nodes if one in going]
        if not gone:
            continue
        stations = [old.stations[one] for one in gone if one in old.stations]
        kept = f"; tickets of {', '.join(stations)} on it" if stations else ""
        what = f"machine {host} with" if host not in new.hosts else f"from machine {host}:"
        found.append(f"would be lost: {what} node {', '.join(gone)}{kept}")
    return found


def _going(old: Members, new: Members) -> set[str]:
    """Nodes that are deleted, or stand on another machine, where nothing of theirs is."""
    places = {node: host for host, nodes in new.hosts.items() for node in nodes}
    return {node for host, nodes in old.hosts.items() for node in nodes if places.get(node) != host}
