"""Write the scenario's consortium: the paper's 600 weighings, two stations, sixteen load cells.

python weighings.py DIRECTORY: splits the file into what each device replays, and writes
consortium.json, which the inventory reads.
"""

import json
import sys
from pathlib import Path

from steelyard.smartbox.split import split_weighings

ROOT = Path(__file__).resolve().parents[2]


def main(directory: Path) -> None:
    """Write everything into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    customers = []
    parts = split_weighings(ROOT / "data/weighings-600.csv", directory)
    for number, (name, part) in enumerate(parts.items(), start=1):
        host = f"box-{number}"
        bridges = [
            {
                "name": bridge.name,
                "scale_serial": bridge.scale_serial,
                "scale_interval_grams": bridge.scale_interval_grams,
                "max_capacity_grams": 100_000_000,
                "cells": [
                    {"serial": serial, "host": host, "replay": str(path)}
                    for serial, path in bridge.cells.items()
                ],
            }
            for bridge in part.weighbridges.values()
        ]
        customers.append(
            {
                "name": f"customer-{number}",
                "admin": {"name": f"customer-{number}-admin", "host": f"customer-{number}"},
                "users": [{"login": f"user@customer-{number}.example"}],
                "stations": [
                    {
                        "name": name,
                        "node": {"name": f"{name}-node", "host": f"customer-{number}", "slot": 1},
                        "smartbox": {
                            "host": host,
                            "serial": f"SB-{part.terminal_serial}",
                            "terminal_serial": part.terminal_serial,
                        },
                        "weighbridges": bridges,
                    }
                ],
            }
        )
    consortium = {
        "name": "molecule",
        "chain_id": 1337,
        "network": [
            {"name": "network-1", "host": "network", "slot": 0},
            {"name": "network-2", "host": "network", "slot": 1},
        ],
        "customers": customers,
        "platform": {"host": "platform"},
    }
    (directory / "consortium.json").write_text(json.dumps(consortium, indent=2), "utf-8")
    replays = {f"box-{n}": str(part.rows_file) for n, part in enumerate(parts.values(), start=1)}
    (directory / "replays.json").write_text(json.dumps(replays), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
