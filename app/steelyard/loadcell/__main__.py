"""A load cell in a process of its own, without the libraries that only read settings.

`steelyard loadcell run` checks the settings and then becomes `python -m steelyard.loadcell JSON`:
that takes a third less memory, and many of these may run on one small machine.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from steelyard.loadcell.communicator import run_forked
from steelyard.loadcell.config import LoadCellConfig


def to_argument(config: LoadCellConfig) -> str:
    """The configuration as one command line argument: it holds paths, no secrets."""
    return json.dumps(asdict(config), default=str)


def from_argument(argument: str) -> LoadCellConfig:
    """Read what `to_argument` wrote."""
    values = json.loads(argument)
    files = {
        name: Path(value) for name, value in values.items() if name.endswith("_file") and value
    }
    return LoadCellConfig(**(values | files))


if __name__ == "__main__":
    sys.exit(run_forked(from_argument(sys.argv[1])))
