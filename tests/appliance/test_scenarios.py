"""The fast part of `make test-appliance`: roles on whole machines, from nothing to nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.machines.programs import why_not_here

ROOT = Path(__file__).resolve().parents[2]
FAST = ["service"]  # two minutes; the rest is for `make test-appliance`
ENGINES = ("STEELYARD_GETH", "STEELYARD_TESSERA")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(why_not_here() is not None, reason=f"no machines: {why_not_here()}")
@pytest.mark.parametrize("scenario", FAST)
def test_a_role_sets_a_machine_up(scenario):
    """check, converge, idempotence and the scenario's own tests."""
    programs = Path(sys.executable).parent
    given = {name: value for name, value in os.environ.items() if name not in ENGINES}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/appliance.py", scenario],
        cwd=ROOT,
        env={**given, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    log = ROOT / ".cache/appliance" / f"{scenario}.log"
    tail = log.read_text("utf-8", "replace")[-4000:] if log.exists() else ""
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{tail}"
    assert " 0 failed" in done.stdout
