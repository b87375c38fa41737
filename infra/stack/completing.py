"""What a stack's description of the consortium may leave out, because the stack decides it."""

import copy
from typing import Any

PLATFORM = "platform"


def completed(document: Any) -> Any:
    """The description with its hosts: what an inventory would have said.

    A node of the network stands on a machine of its own name, a customer's nodes on a machine of
    the customer's name, the platform on `platform`. A station's node is called CUSTOMER-STATION
    when no name is given; its slot is never invented: ports of what runs must not move.
    Anything that is not of the description's form is left for its checks to name.
    """
    if not isinstance(document, dict):
        return document
    made = copy.deepcopy(document)
    for node in _dicts(made.get("network")):
        _default(node, "host", node.get("name"))
    for customer in _dicts(made.get("customers")):
        _complete_customer(customer)
    if isinstance(made.setdefault("platform", {}), dict):
        made["platform"].setdefault("host", PLATFORM)
    return made


def _complete_customer(customer: dict[str, Any]) -> None:
    name = customer.get("name")
    if not isinstance(name, str):
        return
    admin = customer.setdefault("admin", {})
    if isinstance(admin, dict):
        admin.setdefault("name", f"{name}-admin")
        admin.setdefault("host", name)
    for station in _dicts(customer.get("stations")):
        node = station.get("node")
        if isinstance(node, dict):
            _default(node, "name", _node_name(name, station.get("name")))
            node.setdefault("host", name)


def _node_name(customer: str, station: Any) -> str | None:
    if not isinstance(station, str):
        return None
    plain = "".join(one if one.isalnum() and one.isascii() else "-" for one in station.lower())
    return f"{customer}-{plain.strip('-')}"


def _default(record: dict[str, Any], key: str, value: Any) -> None:
    if isinstance(value, str):
        record.setdefault(key, value)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
