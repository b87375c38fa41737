"""python describe.py DIRECTORY: a consortium that grows by a customer, and then by his station."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import weighings as of

# A sample every six seconds: the first station weighs for a quarter of an hour.
INTERVAL = 6.0


def main(directory: Path) -> None:
    """Write consortium.json as it is first, and grown.json and full.json as it becomes."""
    parts = of.split(directory)
    first = of.customer(
        "customer-1", ("acme", 0), of.station(parts[0], ("acme", 1), "box-1", INTERVAL)
    )
    network = [("hub", 0), ("hub", 1), ("hub", 2)]
    for name, others in (
        (
            "full",
            [
                of.customer(
                    "customer-2", ("birch", 0), of.station(parts[1], ("birch", 1), "box-2", 0.2)
                )
            ],
        ),
        ("grown", [of.customer("customer-2", ("birch", 0))]),
        ("consortium", []),
    ):
        described = of.consortium(network, "centre", first, *others, faults=1)
        of.write(directory, parts, described, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
