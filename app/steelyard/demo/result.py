"""What a demo found: every finding says what was expected and whether it was so."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must be so. `holds` is None where it could not be tried, and `seen` why."""

    name: str
    expected: str
    seen: str
    holds: bool | None


@dataclass(slots=True)
class StationResult:
    """What became of one station's weighings."""

    station: str
    customer: str
    weighings: int
    tickets: int
    receipts: int


@dataclass(slots=True)
class DemoResult:
    """The whole result. `seconds` by step, `memory_bytes` the peak of all processes together."""

    engine: str
    stations: list[StationResult] = field(default_factory=list)
    customers: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    checks: list[Finding] = field(default_factory=list)
    attempts: list[Finding] = field(default_factory=list)
    proof: list[Finding] = field(default_factory=list)
    tampering: list[Finding] = field(default_factory=list)
    capture: list[Finding] = field(default_factory=list)
    handshakes: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    memory_bytes: int = 0
    processes: int = 0

    @property
    def findings(self) -> list[Finding]:
        """Every finding of every part."""
        return [*self.checks, *self.attempts, *self.proof, *self.tampering, *self.capture]

    @property
    def holds(self) -> bool:
        """Whether everything that was tried is as it should be."""
        return not self.differences and all(finding.holds is not False for finding in self.findings)

    def as_json(self) -> Mapping[str, Any]:
        """The report's document."""
        return {"holds": self.holds, **asdict(self)}
