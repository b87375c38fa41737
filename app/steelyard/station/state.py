"""How far a first boot is: a phase for programs, a sentence for people."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What the first boot waits for."""

    STARTING = "starting"
    NO_CARD = "no-card"
    CARD_WRONG = "card-wrong"
    NO_CLAIM = "no-claim"
    NO_NETWORK = "waiting-for-network"
    CLOCK = "clock-not-set"
    UNREACHED = "platform-unreached"
    UNTRUSTED = "platform-untrusted"
    REFUSED = "claim-refused"
    MACHINE = "machine-fault"
    ENROLLED = "enrolled"


@dataclass(frozen=True, slots=True)
class State:
    """A phase, its sentence, and what somebody may do; all may be shown to anybody."""

    phase: Phase
    sentence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that display and console show."""

    device_code: str
    station: str | None
    host_name: str
    claim: str | None
    addresses: tuple[str, ...]
    state: State

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


Watcher = Callable[[Shown], None]
