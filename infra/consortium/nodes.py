"""All nodes of a consortium with their ports and places: one list that every role is given."""

from collections.abc import Iterator
from typing import Any, Literal, TypedDict

from infra.consortium.models import ConsortiumSpec, NodeSpec

PEER_PORT = 30303
RPC_PORT = 22000
PRIVACY_PORT = 9000
GATEWAY_PORT = 8600
NODES_DIRECTORY = "/var/lib/steelyard/nodes"

Role = Literal["network", "admin", "station"]


class NodeView(TypedDict):
    """A node as roles read it. `validator`: it votes from the genesis on, or is voted in."""

    name: str
    role: Role
    customer: str | None
    station: str | None
    host: str
    address: str
    slot: int
    validator: bool
    p2p_port: int
    rpc_port: int
    privacy_port: int
    gateway_port: int
    directory: str


def all_nodes(spec: ConsortiumSpec) -> Iterator[tuple[NodeSpec, Role, str | None, str | None]]:
    """Each node with its role, customer and station: the network's first, then by customer."""
    for node in spec.network:
        yield node, "network", None, None
    for customer in spec.customers:
        if customer.admin is not None:
            yield customer.admin, "admin", customer.name, None
        for station in customer.stations:
            yield station.node, "station", customer.name, station.name


def node_views(spec: ConsortiumSpec, addresses: dict[str, str]) -> list[NodeView]:
    """The nodes, with the addresses of their hosts. Stations' nodes never vote."""
    return [
        NodeView(
            name=node.name,
            role=role,
            customer=customer,
            station=station,
            host=node.host,
            address=addresses.get(node.host, node.host),
            slot=node.slot,
            validator=role != "station",
            p2p_port=PEER_PORT + node.slot,
            rpc_port=RPC_PORT + node.slot,
            privacy_port=PRIVACY_PORT + node.slot,
            gateway_port=GATEWAY_PORT,
            directory=f"{NODES_DIRECTORY}/{node.name}",
        )
        for node, role, customer, station in all_nodes(spec)
    ]


def address_of(variables: dict[str, Any], host: str) -> str:
    """The address by which other members reach a host: steelyard_address, else ansible_host."""
    found = variables.get("steelyard_address") or variables.get("ansible_host") or host
    return str(found)
