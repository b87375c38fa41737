"""What is kept of the log stays within two files of 4 MiB, whatever comes at once."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.images.definition import IMAGES

PROGRAM = IMAGES / "files/usr/local/sbin/steelyard-keep-log"
MOST = 4 << 20


@dataclass
class Keeping:
    """The program in a directory, with a journal of the test's own."""

    directory: Path

    def __post_init__(self) -> None:
        (self.directory / "log").mkdir()
        text = PROGRAM.read_text()
        for place, name in (("/data/log", "log"), ("/run/steelyard-log", "run")):
            assert place in text
            text = text.replace(place, str(self.directory / name))
        (self.directory / "keep-log").write_text(text)
        journal = self.directory / "journalctl"
        journal.write_text(f"#!/bin/sh\ncat {self.directory}/new && exit $JOURNAL_STATUS\n")
        journal.chmod(0o755)

    def keep(self, new: bytes, status: int = 0) -> int:
        """Run it where the journal has this; its exit status."""
        (self.directory / "new").write_bytes(new)
        path = f"{self.directory}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", self.directory / "keep-log"],
            check=False,
            env=os.environ | {"PATH": path, "JOURNAL_STATUS": str(status), "LC_ALL": "C.UTF-8"},
        ).returncode

    def kept(self, name: str = "kept.log") -> bytes:
        """What a file has; nothing where there is none."""
        path = self.directory / "log" / name
        return path.read_bytes() if path.exists() else b""


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path)


def lines(size: int, word: str = "w") -> bytes:
    """Lines of altogether so many bytes, of letters that are two bytes each."""
    line = f"{word} {'ä' * 49}\n".encode()
    text = line * (size // len(line) + 1)
    return text[: size - 1].rpartition(b"\n")[0].ljust(size - 1, b".") + b"\n"


def test_what_is_new_is_appended(keeping: Keeping) -> None:
    """And nothing is touched where there is nothing new."""
    assert keeping.keep(b"one\n  of two lines\n") == 0
    assert keeping.keep(b"two\n") == 0
    assert keeping.keep(b"") == 0
    assert keeping.kept() == b"one\n  of two lines\ntwo\n"
    assert keeping.kept("kept.log.1") == b""


def test_a_full_file_makes_room_before_it_grows_past_its_bound(keeping: Keeping) -> None:
    """To the byte: 4 MiB are kept together, one more begins another file."""
    first, second = lines(MOST - 1000, "first"), lines(1000, "second")
    assert keeping.keep(first) == 0
    assert keeping.keep(second) == 0
    assert keeping.kept() == first + second
    assert len(keeping.kept()) == MOST
    assert keeping.keep(b"\n.\n") == 0
    assert (keeping.kept("kept.log.1"), keeping.kept()) == (first + second, b"\n.\n")


@pytest.mark.parametrize("size", [MOST - 1, MOST, MOST + 1, 3 * MOST])
def test_what_no_file_could_hold_is_kept_by_its_end(keeping: Keeping, size: int) -> None:
    """Beside what was there; no file is larger than it may be."""
    assert keeping.keep(lines(MOST // 2, "before")) == 0
    assert keeping.keep(lines(size - 7, "storm") + b"the end") == 0
    assert keeping.kept("kept.log.1") == lines(MOST // 2, "before")
    assert MOST - 2 <= len(keeping.kept()) <= MOST
    assert keeping.kept().endswith(b"the end\n")


def test_a_journal_that_cannot_be_read_is_told(keeping: Keeping) -> None:
    """By the exit status, which makes the unit fail; what was kept stays."""
    assert keeping.keep(b"one\n") == 0
    assert keeping.keep(b"", status=1) == 1
    assert keeping.kept() == b"one\n"
