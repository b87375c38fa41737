"""python describe.py DIRECTORY: two customers with a station each, four validators."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import weighings as of


def main(directory: Path) -> None:
    """Write everything into the directory."""
    parts = of.split(directory)
    customers = [
        of.customer(
            f"customer-{n}",
            (f"customer-{n}", 0),
            of.station(part, (f"customer-{n}", 1), f"box-{n}"),
        )
        for n, part in enumerate(parts, start=1)
    ]
    described = of.consortium([("network", 0), ("network", 1)], "platform", *customers, faults=1)
    of.write(directory, parts, described)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
