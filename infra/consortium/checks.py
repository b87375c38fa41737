"""What must hold before anything is changed. Each finding is a sentence with the name in it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from infra.consortium.errors import InvalidConsortium
from infra.consortium.models import ConsortiumSpec
from infra.consortium.nodes import address_of, all_nodes, node_views

# A variable whose name says that its value is a secret.
_SECRET_NAME = re.compile(r"(password|passphrase|secret|private_key|token|api_key)$", re.IGNORECASE)
# What such a variable may hold in plain text: nothing, a file's path, a lookup.
_HARMLESS = re.compile(r"^(/|~|\{\{)")
# The common name of the certificate by which the platform calls the gateways.
PLATFORM_NAME = "platform"
_KINDS = {"missing": "is missing", "extra_forbidden": "is not known"}


def read_consortium(
    document: Any,
    hostvars: Mapping[str, Mapping[str, Any]],
    *,
    plain: Mapping[str, Any] | None = None,
) -> ConsortiumSpec:
    """The description, if it can be carried out on these hosts.

    `plain` are variables as the inventory's files have them, where secrets must be encrypted.
    Raises InvalidConsortium with every reason.
    """
    spec = parse(document)
    problems = [
        *_twice(spec),
        *_admins(spec),
        *_validators(spec),
        *_hosts(spec, hostvars),
        *_addresses(spec, hostvars),
        *plain_secrets(plain or {}),
    ]
    if problems:
        raise InvalidConsortium(problems)
    return spec


def parse(document: Any) -> ConsortiumSpec:
    """The description's form alone. Raises InvalidConsortium."""
    try:
        return ConsortiumSpec.model_validate(document)
    except ValidationError as error:
        problems = []
        for one in error.errors(include_url=False, include_input=False):
            place = ".".join(["consortium", *(str(part) for part in one["loc"])])
            problems.append(f"{place} {_KINDS.get(one['type'], one['msg'].lower())}")
        raise InvalidConsortium(problems) from None


def plain_secrets(variables: Mapping[str, Any], place: str = "") -> list[str]:
    """Variables whose names say secret and whose values anybody can read."""
    found = []
    for name, value in variables.items():
        here = f"{place}{name}"
        if isinstance(value, Mapping):
            found += plain_secrets(value, f"{here}.")
        elif isinstance(value, list):
            for number, one in enumerate(value):
                if isinstance(one, Mapping):
                    found += plain_secrets(one, f"{here}[{number}].")
        elif (
            isinstance(value, str)
            and _SECRET_NAME.search(str(name))
            and value
            and not _HARMLESS.match(value)
        ):
            found.append(
                f"{here} is a secret in plain text: encrypt it with ansible-vault, or name a file"
            )
    return found


def _twice(spec: ConsortiumSpec) -> Iterator[str]:
    stations = [one for customer in spec.customers for one in customer.stations]
    bridges = [bridge for one in stations for bridge in one.weighbridges]
    kinds: list[tuple[str, Iterable[str]]] = [
        ("nodes", (node.name for node, *_ in all_nodes(spec))),
        ("customers", (one.name for one in spec.customers)),
        # Names are compared without their case, as the management API does.
        ("stations", (one.name.casefold() for one in stations)),
        ("SmartBoxes", (one.smartbox.serial for one in stations if one.smartbox)),
        ("hosts of SmartBoxes", (one.smartbox.host for one in stations if one.smartbox)),
        ("terminals", (one.smartbox.terminal_serial for one in stations if one.smartbox)),
        ("scales", (one.scale_serial for one in bridges)),
        ("load cells", (cell.serial for one in bridges for cell in one.cells)),
        ("log-ins", (user.login.casefold() for one in spec.customers for user in one.users)),
    ]
    for kind, names in kinds:
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{count} {kind} are called {name}: each needs a name of its own"
    for station in stations:
        for name, count in Counter(one.name.casefold() for one in station.weighbridges).items():
            if count > 1:
                yield f"station {station.name} has {count} weighbridges called {name}"


def _admins(spec: ConsortiumSpec) -> Iterator[str]:
    for customer in spec.customers:
        if customer.admin is None:
            yield (
                f"customer {customer.name} has no admin node: its tickets need one beside the "
                "station's"
            )


def _validators(spec: ConsortiumSpec) -> Iterator[str]:
    validators = sum(role != "station" for _, role, *_ in all_nodes(spec))
    needed = 3 * spec.fault_tolerance + 1
    if validators < needed:
        yield (
            f"{validators} validators cannot tolerate {spec.fault_tolerance} fault"
            f"{'s' if spec.fault_tolerance > 1 else ''}: the network's and the customers' admin "
            f"nodes must be {needed} at least, or consortium.fault_tolerance less"
        )


def placed(spec: ConsortiumSpec) -> Iterator[tuple[str, str]]:
    """Everything that has a host, with its host: nodes, platform, SmartBoxes, load cells."""
    for node, *_ in all_nodes(spec):
        yield f"node {node.name}", node.host
    yield "the platform", spec.platform.host
    for customer in spec.customers:
        for station in customer.stations:
            if station.smartbox:
                yield f"the SmartBox of {station.name}", station.smartbox.host
            for bridge in station.weighbridges:
                for cell in bridge.cells:
                    if cell.host:
                        yield f"load cell {cell.serial}", cell.host


def _hosts(spec: ConsortiumSpec, hostvars: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for what, host in placed(spec):
        if host not in hostvars:
            yield f"{what} is on {host}, which is no host of the inventory"
    if any(node.host == PLATFORM_NAME for node, *_ in all_nodes(spec)):
        yield (
            f"a host with nodes is called {PLATFORM_NAME}: by that name the gateways know the "
            "platform, call the host otherwise"
        )


def _addresses(spec: ConsortiumSpec, hostvars: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    addresses = {host: address_of(dict(variables), host) for host, variables in hostvars.items()}
    by_address: dict[str, list[str]] = {}
    for host, address in addresses.items():
        by_address.setdefault(address, []).append(host)
    for address, hosts in by_address.items():
        if len(hosts) > 1:
            yield f"the address {address} is used twice: by {' and '.join(sorted(hosts))}"
    places: dict[tuple[str, int], list[str]] = {}
    for view in node_views(spec, addresses):
        places.setdefault((view["host"], view["slot"]), []).append(view["name"])
    for (host, slot), names in places.items():
        if len(names) > 1:
            yield (
                f"nodes {' and '.join(sorted(names))} are both in slot {slot} of {host}: "
                "their ports would be the same"
            )
