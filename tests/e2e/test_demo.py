"""The whole chain, as `make demo` runs it, on other files than the paper's."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STEELYARD = Path(sys.executable).with_name("steelyard")

pytest.importorskip("pyrevm", reason="the sandbox needs pyrevm: Linux x86-64, Python up to 3.12")


def make_weighings(path: Path, **options: int) -> Path:
    """A weighings file of other dimensions, by the project's own generator."""
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    arguments = [text.replace("_", "-") for text in arguments]
    made = subprocess.run(
        [sys.executable, ROOT / "data" / "make_weighings.py", *arguments],
        check=True,
        capture_output=True,
    )
    path.write_bytes(made.stdout)
    return path


def environment(scratch: Path) -> dict[str, str]:
    """The environment of a demo whose temporary files are in a directory of our own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    return {**kept, "TMPDIR": str(scratch)}


def run_demo(scratch: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STEELYARD, "demo", *arguments],
        env=environment(scratch),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def processes_of(scratch: Path) -> list[str]:
    """The command lines of processes that work in a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                variables = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"TMPDIR={scratch}".encode() in variables:
                found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory whose name is short enough for the sockets in it (unix(7): 107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="sy-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.mark.slow
def test_any_number_of_stations_weighbridges_and_cells(tmp_path: Path, scratch: Path) -> None:
    """Three stations of two customers with five cells a bridge: everything holds, and is tried.

    Two stations are one customer's, so that the sister station's attempt is a real one.
    """
    weighings = make_weighings(
        tmp_path / "weighings.csv", stations=3, weighbridges=1, cells=5, per_station=12, seed=7
    )
    report = tmp_path / "report.json"
    owners = ["--customer", "station-1=Quarry", "--customer", "station-2=Quarry"]
    done = run_demo(scratch, "--weighings", weighings, *owners, "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["holds"] is True
    assert result["differences"] == []
    assert result["customers"] == {"Quarry": 24, "Customer 3": 12}
    assert [
        (station["tickets"], station["receipts"], station["weighings"])
        for station in result["stations"]
    ] == [(12, 12, 12)] * 3
    findings = [
        finding for part in ("checks", "attempts", "proof", "tampering") for finding in result[part]
    ]
    assert len(result["attempts"]) == 4
    assert len(result["tampering"]) == 3
    assert all(finding["holds"] is True for finding in findings)
    assert result["processes"] == 3 + 3 + 15
    assert list(scratch.iterdir()) == [], "the demo removes its directory"
    assert processes_of(scratch) == [], "and leaves no process behind"


@contextmanager
def demo_under_way(tmp_path: Path, scratch: Path) -> Iterator[subprocess.Popen[str]]:
    """A small demo that would be kept, when its first processes run."""
    weighings = make_weighings(
        tmp_path / "weighings.csv", stations=2, weighbridges=1, cells=2, per_station=3
    )
    demo = subprocess.Popen(
        [STEELYARD, "demo", "--keep", "--weighings", weighings],
        env=environment(scratch),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    try:
        for line in demo.stdout:
            if "registration" in line:
                break
        assert len(processes_of(scratch)) >= 3
        yield demo
    finally:
        demo.kill()
        demo.communicate()


@pytest.mark.slow
def test_a_stopped_demo_leaves_nothing_behind(tmp_path: Path, scratch: Path) -> None:
    """SIGTERM in the middle ends every process and removes the directory."""
    with demo_under_way(tmp_path, scratch) as demo:
        demo.send_signal(signal.SIGTERM)
        _, complaint = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "Traceback" not in complaint
    wait_until_gone(scratch)
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_a_killed_demo_takes_its_processes_along(tmp_path: Path, scratch: Path) -> None:
    """Even SIGKILL of the demo leaves no process behind."""
    with demo_under_way(tmp_path, scratch):
        pass
    wait_until_gone(scratch)


def wait_until_gone(scratch: Path) -> None:
    """Wait, without a verdict on the time, until a demo's processes are gone."""
    for _ in range(300):
        if not processes_of(scratch):
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {processes_of(scratch)}")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace(",net_kg", ",net", 1), r"line 1.*net_kg"),
        (lambda text: text.replace("ok", "OK", 1), r"line 2.*scale_status"),
        (lambda text: text.split("\n", 1)[0] + "\n", "no weighings"),
    ],
    ids=["missing-column", "bad-row", "no-rows"],
)
def test_a_bad_file_is_one_sentence(
    tmp_path: Path, scratch: Path, change: object, sentence: str
) -> None:
    """What is wrong with the file is said with its line before anything is started."""
    path = make_weighings(tmp_path / "weighings.csv", stations=1, per_station=3)
    assert callable(change)
    path.write_text(change(path.read_text()))
    done = run_demo(scratch, "--weighings", path)
    assert done.returncode == 1
    assert re.search(sentence, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--weighings", "none.csv"),
        ("--customer", "nonsense"),
        ("--customer", "station-9=Quarry"),
        ("--engine", "quorum"),
        ("--block-period", "0"),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_said(scratch: Path, arguments: tuple[str, ...]) -> None:
    """No traceback, no process, an exit status that is not 0."""
    done = run_demo(scratch, *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr


@pytest.mark.slow
def test_nothing_is_readable_on_the_wire(tmp_path: Path, scratch: Path) -> None:
    """The recorded traffic shows mutual handshakes, and no id, vehicle or weight."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed (Debian: tshark)")
    weighings = make_weighings(
        tmp_path / "weighings.csv", stations=1, weighbridges=1, cells=2, per_station=10
    )
    report = tmp_path / "report.json"
    done = run_demo(scratch, "--weighings", weighings, "--capture", "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert [finding["holds"] for finding in result["capture"]] == [True] * 9
    dtls = " ".join(result["handshakes"]["load cell to SmartBox (DTLS)"])
    for message in ("ClientHello", "HelloVerifyRequest", "Certificate x", "CertificateRequest"):
        assert message in dtls
    # One station and one customer: what cannot be tried is said, and no failure.
    assert [finding["holds"] for finding in result["attempts"]] == [None, None, None, True]


def test_a_temporary_directory_too_long_is_said(tmp_path: Path) -> None:
    """Sockets cannot have names of any length: one sentence says which directory is too long."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    weighings = make_weighings(tmp_path / "weighings.csv", stations=1, per_station=3)
    done = run_demo(deep, "--weighings", weighings)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "TMPDIR" in done.stderr
