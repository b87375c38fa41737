"""Whether a station is well, and what follows from that for a root that is on trial."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Health:
    """`reason` says what is missing, where the station is not well (yet)."""

    well: bool
    reason: str = ""


def look(configuration: Path, program: Path, *, network: bool = False) -> Health:
    """The system has come up, no unit failed, and the SmartBox answers if there is a station.

    With `network` an interface must have an address as well.
    """
    if _says("systemctl", "is-active", "multi-user.target")[1] != "active":
        return Health(False, "multi-user.target is not reached")
    failed = _says("systemctl", "list-units", "--failed", "--plain", "--no-legend")[1]
    if failed:
        return Health(False, f"failed: {' '.join(line.split()[0] for line in failed.splitlines())}")
    if network and not has_network():
        return Health(False, "no interface has an address beyond its link, as before this root")
    if not configuration.exists():
        return Health(True)
    code, said = _says(str(program), "smartbox", "status", "--config", str(configuration))
    return Health(code == 0, "" if code == 0 else f"the SmartBox does not answer: {said[-200:]}")


def has_network() -> bool:
    """Whether an interface that is up has an address that reaches beyond its link."""
    code, said = _says("ip", "-oneline", "address", "show", "up", "scope", "global")
    return code == 0 and said != ""


def _says(*command: str) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout or done.stderr).strip()
