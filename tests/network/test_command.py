"""`steelyard network` as its user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

STEELYARD = Path(sys.executable).with_name("steelyard")


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Iterator:
    """Runs a subcommand on the test's directory."""

    def run_one(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [STEELYARD, "network", *arguments, "--directory", tmp_path / "n"],
            env=environment | {"HOME": str(tmp_path)} | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield run_one
    if (tmp_path / "n" / "state.json").exists():
        run_one("down")


def running(directory: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(directory).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_networks_life(run, tmp_path: Path) -> None:
    """Up detached, status, logs, one node away and back, down; the exit statuses tell."""
    done = run("up", "--engine", "quorum", "--nodes", "2", "--base-port", "0")
    assert done.returncode == 0, done.stderr
    assert "Ready: GoQuorum 24.4.1, Tessera 24.4.2 on Java 17" in done.stdout
    document = json.loads((tmp_path / "n" / "network.json").read_text())
    assert all(node["rpc_url"] in done.stdout for node in document["nodes"])
    assert "WARNING" not in done.stdout
    assert run("status").returncode == 0

    assert run("stop-node", "node-2").returncode == 0
    seen = run("status")
    assert seen.returncode == 3
    assert seen.stdout.count("stopped") == 2
    assert run("start-node", "node-2").returncode == 0
    assert run("restart-node", "node-1", "--part", "geth").returncode == 0
    assert run("status").returncode == 0

    shown = run("logs", "node-1", "--part", "tessera", "--lines", "1")
    assert "-configfile" in shown.stdout
    assert "==>" not in shown.stdout
    assert run("logs").stdout.count("==>") == 4

    assert run("down").returncode == 0
    assert running(tmp_path / "n") == []
    assert run("status").returncode == 3
    assert run("down").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["up"], {"STEELYARD_GETH": "/nowhere"}, "GoQuorum: /nowhere is not a file"),
        (["up"], {"STEELYARD_NETWORK_JAVA": "/no/java"}, "/no/java cannot be run"),
        (["up"], {"FAKE_TROUBLE": "geth:*:dies"}, "geth of node-1 ended with status 7"),
        (["up"], {"STEELYARD_NETWORK_NODES": "0"}, "network.nodes"),
        (["down"], {}, "is not there: `steelyard network up` makes it"),
        (["status"], {}, "holds no network"),
        (["logs", "node-1"], {}, "holds no network"),
    ],
)
def test_every_trouble_is_a_sentence(run, tmp_path: Path, arguments, variables, sentence) -> None:
    """Exit status 1, no traceback, nothing left running."""
    done = run(*arguments, **variables)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.startswith("steelyard: ")
    assert "Traceback" not in done.stderr
    assert running(tmp_path / "n") == []


def test_an_option_wins_over_a_setting(run, tmp_path: Path) -> None:
    """And is held to the same rules."""
    assert run("up", "--nodes", "1", STEELYARD_NETWORK_NODES="2").returncode == 0
    assert len(json.loads((tmp_path / "n" / "network.json").read_text())["nodes"]) == 1
    done = run("up", "--recommit", "soon")
    assert done.returncode == 2
    assert "as 1s or 500ms" in done.stderr


def start_in_the_foreground(
    environment: dict[str, str], tmp_path: Path, line: str, **variables: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [STEELYARD, "network", "up", "--foreground", "--nodes", "2", "--directory", tmp_path / "n"],
        env=environment | {"HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for text in process.stdout:
        if line in text:
            return process
    raise AssertionError("it ended before it was ready")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_stays_until_it_is_told(
    environment: dict[str, str], tmp_path: Path, run, number: signal.Signals
) -> None:
    """It says when an engine ends that nobody stopped, and not when one is restarted."""
    process = start_in_the_foreground(environment, tmp_path, "until Ctrl-C")
    assert run("restart-node", "node-2").returncode == 0
    document = json.loads((tmp_path / "n" / "network.json").read_text())
    os.kill(document["nodes"][0]["pids"]["tessera"], signal.SIGKILL)
    assert process.stdout is not None
    assert "tessera of node-1 ended by itself" in process.stdout.readline()
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert rest == "stopped\n"
    assert process.returncode == 0
    assert running(tmp_path / "n") == []


def test_a_start_that_is_stopped_leaves_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    trouble = "geth:node-1:silent"
    process = start_in_the_foreground(
        environment, tmp_path, "privacy managers are up", FAKE_TROUBLE=trouble
    )
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=30)
    assert "steelyard: stopped before the network was up" in rest
    assert process.returncode == 1
    assert running(tmp_path / "n") == []


def test_the_engines_of_a_killed_foreground_end_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    process = start_in_the_foreground(environment, tmp_path, "until Ctrl-C")
    process.kill()
    process.communicate(timeout=30)
    while running(tmp_path / "n"):
        time.sleep(0.05)


def test_logs_are_followed(run, environment: dict[str, str], tmp_path: Path) -> None:
    assert run("up", "--nodes", "1").returncode == 0
    log = tmp_path / "n" / "node-1" / "geth.log"
    process = subprocess.Popen(
        [
            *(STEELYARD, "network", "logs", "node-1", "--part", "geth", "--follow"),
            *("--directory", tmp_path / "n"),
        ],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in ("a line that may be there before the command\n", "a line that is not\n"):
            with log.open("a") as file:
                file.write(line)
            assert process.stdout.readline() == line
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
