"""A consortium on one host: the description may leave out what follows from that."""

from collections.abc import Callable, Mapping
from typing import Any

NETWORK = {"name": "network", "slot": 0}


def on_one_host(document: Any, host: str) -> Any:
    """The description with `host` wherever none is named; what is named stays.

    Left out as well may be the platform, the network (one node, in slot 0) and the faults that are
    tolerated: one host fails as a whole, so none are. Slots are never guessed, for ports must not
    move when the description changes. What is no description is given back as it is, for
    `parse` to say so.
    """
    if not isinstance(document, Mapping):
        return document
    return {
        "fault_tolerance": 0,
        **document,
        "network": _each(document.get("network", [NETWORK]), lambda one: _placed(one, host)),
        "platform": _placed(document.get("platform", {}), host),
        "customers": _each(document.get("customers", []), lambda one: _customer(one, host)),
    }


def _customer(customer: Mapping[str, Any], host: str) -> dict[str, Any]:
    placed = dict(customer)
    if customer.get("admin") is not None:
        placed["admin"] = _placed(customer["admin"], host)
    if "stations" in customer:
        placed["stations"] = _each(customer["stations"], lambda one: _station(one, host))
    return placed


def _station(station: Mapping[str, Any], host: str) -> dict[str, Any]:
    # A SmartBox is at its station, where nobody else is.
    return {**station, **({"node": _placed(station["node"], host)} if "node" in station else {})}


def _placed(node: Any, host: str) -> Any:
    return {"host": host, **node} if isinstance(node, Mapping) else node


def _each(members: Any, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    if not isinstance(members, list | tuple):
        return members
    return [change(one) if isinstance(one, Mapping) else one for one in members]
