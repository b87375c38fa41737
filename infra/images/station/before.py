"""What a station had before an update was installed, which the root on trial must have too."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Before:
    """`network` is whether an interface had an address that reaches beyond its link."""

    network: bool = False

    def write(self, path: Path) -> None:
        """Whole, or what was there before. Raises OSError."""
        new = path.with_name(f"{path.name}.new")
        with new.open("w", encoding="ascii") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Before":
        """What stands there. Where it cannot be read nothing is asked of the root on trial."""
        try:
            found = json.loads(path.read_text("ascii"))
            return cls(network=found["network"] is True)
        except (OSError, ValueError, LookupError, TypeError):
            return cls()
