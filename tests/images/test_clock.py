"""The kernel's clock is set by what the SmartBox says, and by nothing else that stands there."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.images.definition import IMAGES

PROGRAM = IMAGES / "files/usr/local/sbin/steelyard-clock"
BUILT = 1_700_000_000
UPTIME = 5_000_120  # milliseconds; /proc/uptime has hundredths of seconds


class Board:
    """The program on a board that was built then; what it sets is written down."""

    def __init__(self, directory: Path) -> None:
        self.told = directory / "time"
        self.synchronized = directory / "synchronized"
        self.directory = directory
        (directory / "uptime").write_text(f"{UPTIME / 1000:.2f} 9.99\n")
        release = directory / "release.json"
        release.touch()
        os.utime(release, (BUILT, BUILT))
        text = PROGRAM.read_text()
        for place, here in (
            ("/run/steelyard/smartbox/time", self.told),
            ("/run/systemd/timesync/synchronized", self.synchronized),
            ("/proc/uptime", directory / "uptime"),
            ("/usr/share/steelyard/release.json", release),
        ):
            assert place in text
            text = text.replace(place, str(here))
        (directory / "clock").write_text(text)
        date = directory / "date"
        date.write_text(
            f'#!/bin/sh\n[ "$1" != +%s ] || exec echo {BUILT}\necho "$*" >{directory}/set\n'
        )
        date.chmod(0o755)

    def run(self) -> tuple[int, str]:
        """Exit status, and what it says."""
        path = f"{self.directory}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", self.directory / "clock"],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": path},
            timeout=30,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    @property
    def set(self) -> str:
        """What the clock was set to, as date was told."""
        path = self.directory / "set"
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_the_clock_is_set_with_what_has_passed_since(board: Board) -> None:
    """To the millisecond; and it says how far it was off."""
    board.told.write_text(f"{BUILT * 1000 + 7_000_005} {UPTIME - 61_000}\n")
    assert board.run() == (
        0,
        "<5>steelyard: the clock was 7061 s behind, and is set by what the platform told\n",
    )
    assert board.set == f"--utc --set @{BUILT + 7061}.005"


def test_a_time_server_s_clock_is_left_alone(board: Board) -> None:
    """It knows better."""
    board.told.write_text(f"{BUILT * 1000 + 7_000_000} {UPTIME}\n")
    board.synchronized.touch()
    assert board.run() == (0, "")
    assert board.set == ""


def test_a_smartbox_that_ended_says_nothing(board: Board) -> None:
    """Its directory goes with it."""
    assert board.run() == (0, "")
    board.told.write_text("\n1 2\n")
    assert board.run() == (0, "")
    assert board.set == ""


@pytest.mark.parametrize(
    "line",
    [
        "soon",
        "1800000000000",
        "1800000000000 ",
        " 5000",
        "1800000000000 5000 5000",
        "-1800000000000 5000",
        "1800000000000 5e3",
        "1800000000000.5 5000",
        "$(reboot) 5000",
        "1800000000000;reboot 5000",
        "9" * 60,
        "1800000000000 08",
        "08 5000",
        "0001800000000 5000",
        "9999999999999999 5000",
        "\0\xff 1",
    ],
)
def test_anything_else_sets_nothing(board: Board, line: str) -> None:
    """Nor does the unit fail for it: a failed unit would make the station unwell."""
    board.told.write_bytes(line.encode("latin-1"))
    status, said = board.run()
    assert (status, board.set) == (0, "")
    assert said.endswith("is not what a SmartBox writes\n")


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (BUILT * 1000 - 1, UPTIME),
        (BUILT * 1000 + 5000, UPTIME + 1000),
        (BUILT * 1000 + 946_080_000_001, UPTIME),
    ],
    ids=["before the root was built", "of an uptime to come", "thirty years after it"],
)
def test_a_time_that_cannot_be_is_not_set(board: Board, now: int, then: int) -> None:
    """Whoever says it."""
    board.told.write_text(f"{now} {then}\n")
    assert board.run() == (0, "<4>steelyard: the time that the SmartBox was told cannot be\n")
    assert board.set == ""


def test_a_pipe_is_not_waited_for(board: Board) -> None:
    """Whoever may write there may leave one."""
    os.mkfifo(board.told)
    assert board.run() == (0, "")
    assert board.set == ""
