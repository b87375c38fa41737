"""python describe.py DIRECTORY: a customer's admin node, and his station's on another host."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import weighings as of

# A sample every four seconds: the station weighs for ten minutes.
INTERVAL = 4.0


def main(directory: Path) -> None:
    """Write everything into the directory."""
    parts = of.split(directory)[:1]
    member = of.customer(
        "customer-1", ("acme", 0), of.station(parts[0], ("field", 0), "field", INTERVAL)
    )
    described = of.consortium([("hub", 0), ("hub", 1)], "hub", member, faults=0)
    of.write(directory, parts, described)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
