"""python describe.py DIRECTORY: a description without hosts but the SmartBox's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

import weighings as of


def main(directory: Path) -> None:
    """Write everything into the directory."""
    parts = of.split(directory)[:1]
    member = of.customer("customer-1", ("", 1), of.station(parts[0], ("", 2), "one", 0.2))
    described = of.consortium([], "", member, faults=0)
    station = member["stations"][0]
    for place in (member["admin"], station["node"]):
        del place["host"]
    for left_out in ("network", "platform", "fault_tolerance"):
        del described[left_out]
    of.write(directory, parts, described)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
