"""Files of secrets: read when only their owner can, replaced whole or not at all."""

import os
import stat

import pytest

from steelyard.errors import ConfigurationError
from steelyard.secret_files import check_private, read_secret, read_secret_line, write_secret

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="changes a file's owner: needs root")


def test_a_written_file_is_its_owners_and_read_back(tmp_path):
    """Mode 0600 whatever the umask, and no temporary file stays."""
    path = tmp_path / "secret"
    before = os.umask(0)
    try:
        write_secret(path, b"one")
        write_secret(path, b"two")
    finally:
        os.umask(before)
    assert read_secret(path, "a.setting") == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    """A full disk leaves the file as it was, and nothing beside it."""
    path = tmp_path / "secret"
    write_secret(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_secret(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@root_only
def test_root_keeps_the_owner_of_a_file_that_it_replaces(tmp_path):
    """The service's user can still read the file after root rotated it."""
    path = tmp_path / "secret"
    write_secret(path, b"old")
    os.chown(path, 1234, 1235)
    write_secret(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


@root_only
def test_a_systemd_credential_is_accepted(tmp_path):
    """root:root with the access list's mask showing as the group's bit opens it to nobody else."""
    path = tmp_path / "credential"
    write_secret(path, b"x")
    path.chmod(0o440)
    assert read_secret(path, "a.setting") == b"x"
    path.chmod(0o444)
    with pytest.raises(ConfigurationError, match="mode 0444"):
        read_secret(path, "a.setting")


def test_what_is_no_file_is_refused(tmp_path):
    """A directory, a missing file, a huge file: one sentence each, with the setting's name."""
    with pytest.raises(ConfigurationError, match=r"a\.setting: .*cannot be read"):
        read_secret(tmp_path / "missing", "a.setting")
    with pytest.raises(ConfigurationError, match=r"a\.setting"):
        read_secret(tmp_path, "a.setting")
    huge = tmp_path / "huge"
    write_secret(huge, bytes(2**20 + 1))
    with pytest.raises(ConfigurationError, match="must not be larger"):
        read_secret(huge, "a.setting")


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o601])
def test_a_file_for_a_library_is_checked_as_well(tmp_path, mode):
    """The same rule where the content is read elsewhere."""
    path = tmp_path / "key"
    write_secret(path, b"x")
    check_private(path, "a.setting")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"a\.setting: .*/key .* it has mode {mode:04o}"):
        check_private(path, "a.setting")
    with pytest.raises(ConfigurationError, match=r"a\.setting: .*cannot be read"):
        check_private(tmp_path / "missing", "a.setting")


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_line_is_read_without_an_editors_newline(tmp_path, ending):
    """The newline that an editor leaves is no part of a secret; blanks are."""
    path = tmp_path / "line"
    write_secret(path, b" s3cret " + ending)
    assert read_secret_line(path, "a.setting") == " s3cret "


@pytest.mark.parametrize(("content", "part"), [(b"\n", "is empty"), (b"\xff", "must be UTF-8")])
def test_a_line_that_is_none_is_refused(tmp_path, content, part):
    """An empty secret and bytes that are no text are named with the setting."""
    path = tmp_path / "line"
    write_secret(path, content)
    with pytest.raises(ConfigurationError, match=f"a.setting: .* {part}"):
        read_secret_line(path, "a.setting")
