"""Faults on demand: what an endpoint does to the next requests of a kind."""

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What happens to a request."""

    DROP_RESPONSE = "drop-response"  # carried out, then the connection is cut without an answer
    DROP_REQUEST = "drop-request"  # the connection is cut before anything is done
    DELAY = "delay"  # carried out at once, answered late
    ERROR = "error"  # not carried out; HTTP status 500


@dataclass(slots=True)
class Fault:
    """A fault for the next `count` requests that call `method` (any, when it is None).

    At a node the method is a JSON-RPC method's name, at a privacy manager a path.
    """

    kind: FaultKind
    method: str | None = None
    count: int = 1
    seconds: float = 0.0


class FaultList:
    """The faults that wait at one endpoint."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for its requests."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def __bool__(self) -> bool:
        return bool(self._faults)

    def take(self, methods: list[str]) -> Fault | None:
        """The fault for a request that calls these methods; counts it down."""
        for fault in self._faults:
            if fault.method is None or fault.method in methods:
                fault.count -= 1
                if fault.count <= 0:
                    self._faults.remove(fault)
                return fault
        return None
