"""What a load cell says of itself."""

from typing import Protocol


class Report(Protocol):
    """Takes an event for the log; never a weight."""

    def __call__(self, event: str, **fields: object) -> None: ...
