"""Run the appliance's scenarios on machines that are made for them: `make test-appliance`.

    python scripts/appliance.py [SCENARIO ...]

Each is destroy, syntax, create, prepare, check, converge, idempotence, verify, destroy. Prints a
line a scenario with its time and what its tests found; exit status 1 when one failed. Scenarios
that need the ledger's engines (STEELYARD_GETH, STEELYARD_TESSERA) are skipped with the reason.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.machines.programs import why_not_here  # noqa: E402

SCENARIOS = ROOT / "molecule"
LOGS = ROOT / ".cache" / "appliance"
ENGINES = ("STEELYARD_GETH", "STEELYARD_TESSERA")
# These are about running engines and nothing else.
NEED_ENGINES = ("consortium", "day2", "restore", "single", "upgrade")
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scenario. `counts` are of its tests."""

    name: str
    result: str
    seconds: float
    counts: dict[str, int]


def scenarios() -> list[str]:
    """All scenarios, the roles' before those of the whole."""
    names = sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))
    return sorted(names, key=lambda name: (name in NEED_ENGINES, name))


def run(name: str) -> Outcome:
    """Run one scenario; its output goes into a file."""
    missing = [one for one in ENGINES if not os.environ.get(one)]
    if name in NEED_ENGINES and missing:
        return Outcome(name, f"skipped: needs {' and '.join(missing)}", 0, {})
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    started = time.monotonic()
    environment = {**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - our own arguments
            ["molecule", "test", "--scenario-name", name],  # noqa: S607 - of the environment that runs this
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    seconds = time.monotonic() - started
    return Outcome(
        name, "ok" if done.returncode == 0 else f"FAILED, see {log}", seconds, counts(log)
    )


def counts(log: Path) -> dict[str, int]:
    """What the tests' closing line says."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if " in " in line]
    found: dict[str, int] = {}
    for line in lines:
        if re.search(r"\d+ (passed|failed).* in \d", line):
            found = {word: int(number) for number, word in _COUNTS.findall(line)}
    return found


def main(names: list[str]) -> int:
    """Run them one after another."""
    reason = why_not_here()
    if reason is not None:
        print(f"the appliance's scenarios are skipped: {reason}")
        return 0
    unknown = sorted(set(names) - set(scenarios()))
    if unknown:
        print(f"no scenario {unknown[0]}: there are {', '.join(scenarios())}", file=sys.stderr)
        return 2
    outcomes = []
    for name in names or scenarios():
        print(f"{name} ...", flush=True)
        outcome = run(name)
        outcomes.append(outcome)
        told = ", ".join(f"{number} {word}" for word, number in outcome.counts.items())
        print(
            f"{name}: {outcome.result} ({outcome.seconds:.0f} s; {told or 'no tests'})", flush=True
        )
    total = {
        word: sum(one.counts.get(word, 0) for one in outcomes)
        for word in ("passed", "failed", "skipped")
    }
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return int(any(one.result.startswith("FAILED") for one in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
