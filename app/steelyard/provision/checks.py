"""What stands in the way of a description: looked for before anything is changed."""

from collections.abc import Iterator

from steelyard.provision.document import (
    CustomerWanted,
    Description,
    StationWanted,
    WeighbridgeWanted,
)
from steelyard.provision.state import Entity, State


def conflicts(wanted: Description, state: State) -> list[str]:
    """One sentence for each thing that cannot be made as it is described, by its name."""
    return [
        *_nodes(wanted, state),
        *(sentence for one in wanted.customers for sentence in _customer(one, wanted, state)),
    ]


def _nodes(wanted: Description, state: State) -> Iterator[str]:
    by_key = {node["tessera_public_key"]: name for name, node in state.nodes.items()}
    for node in wanted.nodes:
        known = state.nodes.get(node.name)
        if known is None:
            other = by_key.get(node.tessera_public_key)
            if other is not None:
                yield f"node {node.name}: its Tessera key is that of the registered node {other}"
        elif known["role"] != node.role:
            yield f"node {node.name}: is registered with the role {known['role']}, not {node.role}"
        elif known["tessera_public_key"] != node.tessera_public_key:
            yield (
                f"node {node.name}: has another Tessera key than the registered one; the tickets "
                "that it is a party to can only be read with that key"
            )


def _role_of(name: str, wanted: Description, state: State) -> str | None:
    """The role of a node that is described or registered."""
    described = {node.name: node.role for node in wanted.nodes}
    if name in described:
        return described[name]
    return str(state.nodes[name]["role"]) if name in state.nodes else None


def _customer(customer: CustomerWanted, wanted: Description, state: State) -> Iterator[str]:
    known = state.customer(customer.name)
    yield from _admin_node(customer, known, wanted, state)
    for user in customer.users:
        found = state.users.get(user.login.casefold())
        if found is not None and (known is None or found["customer_id"] != known["id"]):
            yield f"user {user.login}: is registered, but not as one of {customer.name}"
    for station in customer.stations:
        yield from _station(station, known, wanted, state)


def _admin_node(
    customer: CustomerWanted, known: Entity | None, wanted: Description, state: State
) -> Iterator[str]:
    name = customer.admin_node
    what = f"customer {customer.name}"
    if known is not None:
        node = state.admin_node(known)
        if name is not None and (node is None or node["name"] != name):
            has = node["name"] if node else "none"
            yield f"{what}: its admin node is {has}, not {name}; a customer's node never changes"
    elif name is None:
        yield f"{what}: needs an admin_node"
    elif (role := _role_of(name, wanted, state)) is None:
        yield f"{what}: its admin node {name} is neither registered nor described"
    elif role != "admin":
        yield f"{what}: {name} has the role {role}, not admin"
    elif name in state.nodes and state.nodes[name]["customer_id"] is not None:
        yield f"{what}: the node {name} is another customer's"


def _station(
    station: StationWanted, customer: Entity | None, wanted: Description, state: State
) -> Iterator[str]:
    known = state.station(customer, station.name)
    if known is not None:
        node = state.node_of.get(known["id"], "none")
        if node != station.node:
            yield (
                f"station {station.name}: its node is {node}, not {station.node}; "
                "a station's node never changes"
            )
    else:
        yield from _new_station(station, customer, wanted, state)
    for bridge in station.weighbridges:
        yield from _weighbridge(bridge, station, customer, known, state)
    kinds = [(station.smartbox, "smartbox")] if station.smartbox else []
    kinds += [(cell, "loadcell") for bridge in station.weighbridges for cell in bridge.cells]
    for serial, kind in kinds:
        device = state.device(customer, serial)
        if device is None:
            continue
        if device["kind"] != kind:
            yield f"device {serial}: is registered as a {device['kind']}, not as a {kind}"
        elif known is None or device["station_id"] != known["id"]:
            yield f"device {serial}: is registered at another station than {station.name}"


def _new_station(
    station: StationWanted, customer: Entity | None, wanted: Description, state: State
) -> Iterator[str]:
    what = f"station {station.name}"
    role = _role_of(station.node, wanted, state)
    if role is None:
        yield f"{what}: its node {station.node} is neither registered nor described"
    elif role != "station":
        yield f"{what}: {station.node} has the role {role}, not station"
    elif station.node in state.nodes:
        owner = state.nodes[station.node]["customer_id"]
        if owner is not None and (customer is None or owner != customer["id"]):
            yield f"{what}: the node {station.node} is another customer's"


def _weighbridge(
    bridge: WeighbridgeWanted,
    station: StationWanted,
    customer: Entity | None,
    known_station: Entity | None,
    state: State,
) -> Iterator[str]:
    what = f"weighbridge {bridge.name} of {station.name}"
    known = state.weighbridge(customer, bridge.scale_serial)
    if known is None:
        return
    if known_station is None or known["station_id"] != known_station["id"]:
        yield f"{what}: the scale {bridge.scale_serial} is registered at another station"
        return
    if known["name"] != bridge.name:
        yield f"{what}: the scale {bridge.scale_serial} is registered as {known['name']}"
    for member, words in (("scale_interval", "scale interval"), ("max_capacity", "capacity")):
        described = getattr(bridge, member)
        if known[member] != described:
            yield (
                f"{what}: its {words} is {known[member]} g, not {described} g; after a new "
                f"verification an administrator changes it by PATCH /v1/weighbridges/{known['id']}"
            )
