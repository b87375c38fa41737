"""python describe.py DIRECTORY: three hosts with nodes, so that one at a time may be away."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import weighings as of

INTERVAL = 5.0


def main(directory: Path) -> None:
    """Write everything into the directory."""
    parts = of.split(directory)[:1]
    member = of.customer(
        "customer-1", ("acme", 0), of.station(parts[0], ("acme", 1), "acme", INTERVAL)
    )
    described = of.consortium([("first", 0), ("hub", 0)], "hub", member, faults=0)
    of.write(directory, parts, described)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
