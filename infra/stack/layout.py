"""What a configuration makes: machines, and the consortium on them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.consortium.changes import without
from infra.consortium.checks import parse, placed, read_consortium
from infra.consortium.errors import InvalidConsortium
from infra.consortium.exposure import Kind
from infra.consortium.models import ConsortiumSpec
from infra.consortium.nodes import all_nodes
from infra.consortium.views import kinds_of
from infra.stack.completing import completed
from infra.stack.errors import InvalidStack
from infra.stack.leaving import Leaving, leaving_of
from infra.stack.models import Size, StackConfig
from infra.stack.networks import network_problems
from infra.stack.sizes import SIZES

# The machine that collects figures: the description has no place for it.
MONITORING = "monitoring"
MONITORING_GROUP = "steelyard_monitoring"
# infra.machines takes the same.
_MACHINE_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A machine that the stack makes. `nodes`: names of the ledger nodes on it."""

    name: str
    kinds: tuple[Kind, ...]
    nodes: tuple[str, ...]
    size: Size
    protected: bool

    @property
    def public(self) -> bool:
        """Whether it answers the world: the platform does."""
        return "platform" in self.kinds


@dataclass(frozen=True, slots=True)
class Layout:
    """A stack as it is to be. `spec` has everything, `remaining` what does not leave."""

    config: StackConfig
    spec: ConsortiumSpec
    remaining: ConsortiumSpec
    leaving: Leaving
    machines: tuple[MachinePlan, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The description that Ansible is given."""
        return self.remaining.model_dump(mode="json")

    @property
    def groups(self) -> dict[str, list[str]]:
        """Groups of the inventory that do not follow from the description."""
        return {MONITORING_GROUP: [MONITORING]} if self.config.monitoring else {}


def lay_out(config: StackConfig) -> Layout:
    """Machines and consortium of a configuration. Raises InvalidStack with every reason."""
    document = completed(config.consortium)
    try:
        spec = parse(document)
    except InvalidConsortium as error:
        raise InvalidStack(_told(error.problems)) from None
    leaving, problems = leaving_of(spec, config.leaving)
    remaining = without(
        spec, network=leaving.network, customers=leaving.customers, stations=leaving.stations
    )
    machines = _machines(config, spec, leaving)
    problems += _consortium_problems(config, document, spec)
    if leaving:
        problems += [
            f"{one} (without those of steelyard:leaving)"
            for one in _consortium_problems(config, remaining.model_dump(mode="json"), spec)
            if one not in problems
        ]
    problems += _machine_problems(config, machines)
    if config.monitoring and MONITORING in {*_hosts(spec), *config.outside}:
        problems.append(
            f"machine {MONITORING}: with steelyard:monitoring the stack makes one of this name "
            "itself, call the host otherwise"
        )
    if config.target == "aws" and not spec.platform.names:
        problems.append(
            "steelyard:consortium.platform.names is empty: on target aws users reach the APIs by a "
            "name, which stands in the certificate"
        )
    managed = config.target == "aws" and config.aws is not None and config.aws.database == "rds"
    if managed and spec.platform.host in config.outside:
        problems.append(
            f"steelyard:aws.database is rds, and the platform's host {spec.platform.host} is in "
            "steelyard:outside: only the stack's own machine reaches that database, take host"
        )
    problems += network_problems(config, len(machines))
    if problems:
        raise InvalidStack(problems)
    return Layout(config, spec, remaining, leaving, machines)


def _consortium_problems(config: StackConfig, document: Any, spec: ConsortiumSpec) -> list[str]:
    """What an inventory's own check finds; the stack gives each machine an address of its own."""
    hosts: dict[str, dict[str, Any]] = {name: {} for name in _hosts(spec)}
    hosts |= {name: {"ansible_host": str(one.address)} for name, one in config.outside.items()}
    try:
        read_consortium(document, hosts, plain={"steelyard:variables": config.variables})
    except InvalidConsortium as error:
        return _told(error.problems)
    return []


def _told(problems: list[str]) -> list[str]:
    """As the stack's configuration names things."""
    return [re.sub(r"(?<![\w.:])consortium\.", "steelyard:consortium.", one) for one in problems]


def _hosts(spec: ConsortiumSpec) -> list[str]:
    """Every host of the description, each once, in its order."""
    return list(dict.fromkeys(host for _, host in placed(spec)))


def _machines(
    config: StackConfig, spec: ConsortiumSpec, leaving: Leaving
) -> tuple[MachinePlan, ...]:
    plans = []
    for host in _hosts(spec):
        if host in config.outside:
            continue
        nodes = tuple(node.name for node, *_ in all_nodes(spec) if node.host == host)
        kinds = tuple(sorted(kinds_of(spec, host)))
        # A SmartBox's machine has its outbox and its alibi memory; a load cell's has nothing.
        kept = kinds != ("loadcell",) and not (nodes and set(nodes) <= leaving.nodes)
        plans.append(
            MachinePlan(host, kinds, nodes, _size(config, spec, host), config.protect and kept)
        )
    if config.monitoring:
        # Its figures can be collected anew.
        plans.append(MachinePlan(MONITORING, ("monitoring",), (), config.sizes.monitoring, False))
    return tuple(plans)


def _size(config: StackConfig, spec: ConsortiumSpec, host: str) -> Size:
    """The greatest that one of its parts asks for."""
    sizes = config.sizes
    wanted = [sizes.other]
    if spec.platform.host == host:
        wanted.append(sizes.platform)
    for node, role, customer, _ in all_nodes(spec):
        if node.host == host:
            own = sizes.network if role == "network" else sizes.customer
            wanted.append(sizes.customers.get(customer or "", own))
    order = list(SIZES)
    return max(wanted, key=order.index)


def _machine_problems(config: StackConfig, machines: tuple[MachinePlan, ...]) -> list[str]:
    customers = [one.get("name") for one in config.consortium.get("customers") or []]
    problems = [
        f"steelyard:sizes.customers names {name}, which is no customer"
        for name in config.sizes.customers
        if name not in customers
    ]
    for plan in machines:
        if len(plan.name) > _NAME_LENGTH or not _MACHINE_NAME.fullmatch(plan.name):
            problems.append(
                f"machine {plan.name}: a name has lower case letters, digits and hyphens, "
                f"{_NAME_LENGTH} at most"
            )
        if config.target == "aws":
            problems += _cloud_problems(plan)
    return problems


def _cloud_problems(plan: MachinePlan) -> Iterator[str]:
    room = SIZES[plan.size].nodes
    if len(plan.nodes) > room:
        enough = [name for name, size in SIZES.items() if size.nodes >= len(plan.nodes)]
        way_out = f"choose {enough[0]}" if enough else "spread them over several hosts"
        yield (
            f"machine {plan.name} has {len(plan.nodes)} nodes and size {plan.size} has room for "
            f"{room}: {way_out}"
        )
    if set(plan.kinds) & {"smartbox", "loadcell"}:
        yield (
            f"{plan.name} is a station's own device, which target aws does not make: name it in "
            "steelyard:outside with its address"
        )
