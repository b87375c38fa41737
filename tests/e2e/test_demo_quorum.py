"""The demo on a network of real engines that it starts itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from real_engines import require_engines

ROOT = Path(__file__).parent.parent.parent
STEELYARD = Path(sys.executable).with_name("steelyard")
ENGINES = ("STEELYARD_GETH", "STEELYARD_TESSERA")


def environment(scratch: Path, **variables: str) -> dict[str, str]:
    """No settings but the engines' names; temporary files in a directory of our own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    return {**kept, "TMPDIR": str(scratch)} | variables


@pytest.fixture
def engines() -> dict[str, str]:
    require_engines()
    return {name: os.environ[name] for name in ENGINES}


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short, as a socket's path below it must not be long."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def weighings(tmp_path: Path) -> Path:
    """One station with one weighbridge: three nodes."""
    options = {"stations": 1, "weighbridges": 1, "cells": 2, "per-station": 10}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    made = subprocess.run(
        [sys.executable, ROOT / "data" / "make_weighings.py", *arguments],
        check=True,
        capture_output=True,
    )
    path = tmp_path / "weighings.csv"
    path.write_bytes(made.stdout)
    return path


def left(scratch: Path) -> list[str]:
    """Processes that were started with this directory for temporary files."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"TMPDIR={scratch}".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_on_its_own_network(
    tmp_path: Path, scratch: Path, weighings: Path, engines: dict[str, str]
) -> None:
    """Everything holds as on the sandbox; the engines are counted, weighed, and gone afterwards."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [STEELYARD, "demo", "--engine", "quorum", "--weighings", weighings, "--report", report],
        env=environment(scratch, **engines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["engine"] == "quorum"
    assert result["holds"] is True
    assert sum(station["receipts"] for station in result["stations"]) == 10
    # The network, two APIs, a SmartBox, two cells; a node and a Tessera three times.
    assert result["processes"] == 1 + 2 + 1 + 2 + 2 * 3
    assert result["memory_bytes"] > 3 * 100 * 2**20, "three Java virtual machines are in it"
    assert list(scratch.iterdir()) == []
    assert left(scratch) == []


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_demo_takes_its_engines_along(
    scratch: Path, weighings: Path, engines: dict[str, str]
) -> None:
    """Also by SIGKILL, in the middle of the network's start."""
    demo = subprocess.Popen(
        [STEELYARD, "demo", "--engine", "quorum", "--weighings", weighings],
        env=environment(scratch, **engines),
        stdout=subprocess.DEVNULL,
    )
    try:
        while not any("-configfile" in line for line in left(scratch)):
            assert demo.poll() is None
            time.sleep(0.1)
    finally:
        demo.send_signal(signal.SIGKILL)
        demo.wait()
    while left(scratch):
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is looked for first")
def test_a_missing_program_is_one_sentence(scratch: Path, weighings: Path) -> None:
    """The network's own sentence comes through, and nothing is left."""
    done = subprocess.run(
        [STEELYARD, "demo", "--engine", "quorum", "--weighings", weighings],
        env=environment(scratch, STEELYARD_GETH="/nowhere/geth", STEELYARD_TESSERA="/t"),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 1
    assert "GoQuorum: /nowhere/geth is not a file (STEELYARD_GETH)" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(scratch.iterdir()) == []
    assert left(scratch) == []
