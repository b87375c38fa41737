"""Descriptions of consortiums for tests."""

import copy
from typing import Any


def station(name: str, host: str, slot: int = 1, cells: int = 2) -> dict[str, Any]:
    """A station with one weighbridge, and its own SmartBox."""
    return {
        "name": name,
        "node": {"name": f"{name}-node", "host": host, "slot": slot},
        "smartbox": {"host": f"{name}-box", "serial": f"SB-{name}", "terminal_serial": f"T-{name}"},
        "weighbridges": [
            {
                "name": "WB-1",
                "scale_serial": f"S-{name}",
                "scale_interval_grams": 20_000,
                "max_capacity_grams": 60_000_000,
                "cells": [
                    {"serial": f"LC-{name}-{n}", "host": f"{name}-box"} for n in range(cells)
                ],
            }
        ],
    }


def example() -> dict[str, Any]:
    """The network's two nodes and two customers with a station each: four validators."""
    return copy.deepcopy(
        {
            "name": "example",
            "chain_id": 1337,
            "network": [
                {"name": "network-1", "host": "net-1"},
                {"name": "network-2", "host": "net-2"},
            ],
            "customers": [
                {
                    "name": "acme",
                    "admin": {"name": "acme-admin", "host": "acme-1"},
                    "users": [{"login": "ops@acme.example"}],
                    "stations": [station("north", "acme-1")],
                },
                {
                    "name": "birch",
                    "admin": {"name": "birch-admin", "host": "birch-1"},
                    "stations": [station("south", "birch-1")],
                },
            ],
            "platform": {"host": "platform-1"},
        }
    )


def hosts() -> dict[str, dict[str, Any]]:
    """Host variables for `example`."""
    names = ["net-1", "net-2", "acme-1", "birch-1", "platform-1", "north-box", "south-box"]
    return {name: {"ansible_host": f"10.0.0.{n}"} for n, name in enumerate(names, start=1)}
