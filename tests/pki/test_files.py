"""Files appear whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from steelyard.pki import files
from steelyard.pki.errors import FileExists


def test_one_of_many_writers_wins(tmp_path: Path) -> None:
    """However many write a new file at once, one succeeds and its content stays."""
    path, outcomes = tmp_path / "key", []

    def write(content: bytes) -> None:
        try:
            files.write_new(path, content, files.PRIVATE)
            outcomes.append(content)
        except FileExists:
            pass

    threads = [threading.Thread(target=write, args=(bytes([i]) * 100,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert path.read_bytes() == outcomes[0]
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_replace_keeps_the_old_file_on_failure(tmp_path: Path, monkeypatch) -> None:
    """When the new content cannot be put in place, the old one is there, and no litter."""
    path = tmp_path / "crl.pem"
    files.replace(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no"):
        files.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["crl.pem"]


@pytest.mark.parametrize("mode", [files.PRIVATE, files.PUBLIC])
def test_the_mode_is_the_file_s_under_any_umask(tmp_path: Path, mode: int) -> None:
    """A unit's umask is 0077, and what it writes for another service is read by that."""
    before = os.umask(0o077)
    try:
        files.replace(tmp_path / "file", b"text", mode)
        files.write_new(tmp_path / "new", b"text", mode)
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "new")} == {mode}
