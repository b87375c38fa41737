"""The paper's 600 weighings for the scenarios' stations, and consortiums that are made of them."""

import json
from pathlib import Path
from typing import Any

from steelyard.smartbox.split import StationPart, split_weighings

ROOT = Path(__file__).resolve().parents[2]
Place = tuple[str, int]


def split(directory: Path) -> list[StationPart]:
    """Both stations of the file; what each device replays is written into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    return list(split_weighings(ROOT / "data/weighings-600.csv", directory).values())


def node(name: str, place: Place) -> dict[str, Any]:
    """A node in a slot of a host."""
    return {"name": name, "host": place[0], "slot": place[1]}


def station(
    part: StationPart, place: Place, box: str, interval: float | None = None
) -> dict[str, Any]:
    """A station whose node is at a place, and whose SmartBox and load cells are on a host."""
    bridges = [
        {
            "name": bridge.name,
            "scale_serial": bridge.scale_serial,
            "scale_interval_grams": bridge.scale_interval_grams,
            "max_capacity_grams": 100_000_000,
            "cells": [
                {"serial": serial, "host": box, "replay": str(path), "interval_seconds": interval}
                for serial, path in bridge.cells.items()
            ],
        }
        for bridge in part.weighbridges.values()
    ]
    return {
        "name": part.name,
        "node": node(f"{part.name}-node", place),
        "smartbox": {
            "host": box,
            "serial": f"SB-{part.terminal_serial}",
            "terminal_serial": part.terminal_serial,
        },
        "weighbridges": bridges,
    }


def customer(name: str, place: Place, *stations: dict[str, Any]) -> dict[str, Any]:
    """A customer with its admin node at a place, a user, and stations."""
    return {
        "name": name,
        "admin": node(f"{name}-admin", place),
        "users": [{"login": f"user@{name}.example"}],
        "stations": list(stations),
    }


def consortium(
    network: list[Place], platform: str, *customers: dict[str, Any], faults: int
) -> dict[str, Any]:
    """The description of a consortium."""
    return {
        "name": "molecule",
        "chain_id": 1337,
        "fault_tolerance": faults,
        "network": [node(f"network-{n}", place) for n, place in enumerate(network, start=1)],
        "customers": list(customers),
        "platform": {"host": platform},
    }


def write(
    directory: Path, parts: list[StationPart], described: dict[str, Any], name: str = "consortium"
) -> None:
    """Write the description, and add to replays.json which rows each SmartBox's host replays."""
    (directory / f"{name}.json").write_text(json.dumps(described, indent=2), "utf-8")
    rows = {part.name: str(part.rows_file) for part in parts}
    replays = {
        one["smartbox"]["host"]: rows[one["name"]]
        for member in described["customers"]
        for one in member["stations"]
    }
    place = directory / "replays.json"
    known = json.loads(place.read_text("utf-8")) if place.exists() else {}
    place.write_text(json.dumps(known | replays), "utf-8")
