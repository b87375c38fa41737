"""The whole benchmark of the ledger, as small as it gets: its figures are complete and right.

How fast anything was is nobody's business here: the machine may be busy.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from naive.client import SOLC
from real_engines import require_engines
from steelyard.network.programs import GETH_VARIABLE, TESSERA_VARIABLE

PROGRAM = Path(__file__).parents[2] / "bench" / "ledger.py"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )


def test_a_missing_engine_is_named() -> None:
    """One sentence on what to set, and no traceback."""
    if not SOLC.is_dir():
        pytest.skip("the naive contract needs its compiler: run `npm ci` in contracts/")
    done = run("--quick", **{GETH_VARIABLE: "/nowhere/geth", TESSERA_VARIABLE: "/nowhere/tessera"})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "/nowhere/geth is not a file (STEELYARD_GETH)" in done.stderr


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_everything_is_measured_and_right(tmp_path_factory: pytest.TempPathFactory) -> None:
    require_engines()
    if not SOLC.is_dir():
        pytest.skip("the naive contract needs its compiler: run `npm ci` in contracts/")
    directory, file = tmp_path_factory.mktemp("b"), tmp_path_factory.mktemp("f") / "figures.json"
    done = run("--quick", "--sizes", "500,1000", "--directory", directory, "--json", file)
    assert done.returncode in {0, 1}, done.stderr
    assert list(directory.iterdir()) == []
    found = json.loads(file.read_text("utf-8"))
    assert found["whole"], done.stderr
    assert [check for check in found["checks"] if not check["holds"]] == []
    goals = found["goals"]
    assert [goal for goal in goals if goal["measured"] is None] == []
    assert (done.returncode == 0) == all(goal["held"] for goal in goals)
    assert "| goal " in done.stdout
    assert_complete(found)


def assert_complete(found: dict[str, Any]) -> None:
    """Every figure is there, for each size, way and process."""
    assert list(found["queries"]) == ["500", "1000"]
    assert {len(answers) for answers in found["queries"].values()} == {5}
    assert found["scans"]["500"]
    assert len(found["latencies"]) == 4
    assert found["week"] > 0
    assert {growth["tickets"] for growth in found["disk"].values()} == {200, 500}
    batched = found["usage"]["ours, in batches"]
    assert len(batched["cpu_seconds"]) == len(batched["memory_bytes"]) == 5 * 2 + 1
    assert all(memory > 0 for memory in batched["memory_bytes"].values())
