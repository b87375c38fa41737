"""A process is known by more than its id, and ends in the way that is asked for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.network import processes
from steelyard.network.errors import NetworkProblem
from steelyard.network.ports import is_free
from steelyard.network.state import ProcessRecord

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[ProcessRecord]]:
    records: list[ProcessRecord] = []
    yield records
    for record in records:
        processes.kill(record)


@pytest.fixture
def start(tmp_path: Path, started: list[ProcessRecord]):
    """Starts Python programs and waits for their first line."""

    def start_one(program: str, *, wait: bool = True, **options) -> ProcessRecord:
        log = tmp_path / "log"
        offset = log.stat().st_size if log.exists() else 0
        record = processes.spawn(
            [sys.executable, "-c", program], log, directory=tmp_path, environment={}, **options
        )
        started.append(record)
        while wait and b"ready" not in log.read_bytes()[offset:]:
            time.sleep(0.01)
        return record

    start_one.log = tmp_path / "log"
    return start_one


def test_a_process_ends_when_asked(start) -> None:
    record = start(SLEEP)
    assert processes.alive(record)
    assert processes.end([record], 10) == 0
    assert not processes.alive(record)


def test_one_that_does_not_listen_is_killed(start) -> None:
    record = start(STUBBORN)
    assert processes.end([record], 0.1) == 1
    assert not processes.alive(record)


def test_one_that_is_held_ends_when_asked(start) -> None:
    """It is let go on, to hear that it is to end."""
    record = start(SLEEP)
    processes.send(record, signal.SIGSTOP)
    assert processes.alive(record)
    assert processes.end([record], 10) == 0


@pytest.mark.parametrize("field", ["started", "boot"])
def test_a_recycled_process_id_is_never_signalled(start, field: str) -> None:
    """The same id with another start time, or of another boot, is somebody else."""
    record = start(SLEEP)
    other = {"started": record.started + 1, "boot": "another"}[field]
    stranger = record.model_copy(update={field: other})
    assert not processes.alive(stranger)
    assert processes.send(stranger, signal.SIGKILL) is False
    processes.kill(stranger)
    assert processes.end([stranger], 0.1) == 0
    assert processes.alive(record)


def test_a_process_has_ended_when_all_its_threads_have(start) -> None:
    """Not when its first has: what it listened on is free when the wait is over."""
    program = """
import socket, threading, time
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(20)]
for one in sockets:
    for _ in range(5):
        threading.Thread(target=one.accept, daemon=True).start()
print("ports", *(one.getsockname()[1] for one in sockets), "ready", flush=True)
time.sleep(600)
"""
    for _ in range(10):
        record = start(program)
        words = start.log.read_text().splitlines()[-1].split()
        processes.end([record], 10)
        assert all(is_free(int(port)) for port in words[1:-1])


def test_a_process_that_is_gone_cannot_be_signalled(start) -> None:
    record = start(SLEEP)
    processes.kill(record)
    assert processes.send(record, signal.SIGTERM) is False
    assert processes.end([record], 0.1) == 0


@pytest.mark.parametrize(
    ("program", "sentence"),
    [("raise SystemExit(112)", "ended with status 112"), ("import os; os.abort()", "SIGABRT")],
)
def test_it_is_known_how_it_ended(start, program: str, sentence: str) -> None:
    record = start(program, wait=False)
    while processes.alive(record):
        time.sleep(0.01)
    assert sentence in processes.fate(record)


def test_the_end_of_a_log_is_that_of_this_start(start, tmp_path: Path) -> None:
    """What an earlier start wrote is not shown; what is long is cut."""
    (tmp_path / "log").write_text("an earlier start\n")
    record = start("print('ready'); print('x' * 1000)")
    while processes.alive(record):
        time.sleep(0.01)
    lines = processes.log_end(tmp_path / "log", record.log_offset)
    assert lines == ["ready", "x" * 300]
    assert processes.log_end(tmp_path / "none") == []


def test_a_program_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NetworkProblem, match="missing cannot be run: No such file"):
        processes.spawn(
            [str(tmp_path / "missing")], tmp_path / "log", directory=tmp_path, environment={}
        )


def test_a_tethered_process_ends_with_its_starter(tmp_path: Path) -> None:
    """Also when the starter is killed, and can do nothing about it."""
    program = f"""
import sys, time
from pathlib import Path
from steelyard.network import processes
here = Path({str(tmp_path)!r})
record = processes.spawn([sys.executable, "-c", {SLEEP!r}], here / "log", directory=here,
                         environment={{}}, tethered=True)
(here / "record.new").write_text(record.model_dump_json())
(here / "record.new").rename(here / "record")
time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", program])
    try:
        while not (tmp_path / "record").exists():
            assert starter.poll() is None
            time.sleep(0.01)
        record = ProcessRecord.model_validate_json((tmp_path / "record").read_text())
        assert processes.alive(record)
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    while processes.alive(record):
        time.sleep(0.01)
