"""The lock names every package of the image by its hash."""

import pytest

from infra.images.archive import Archive, Mirror, fetch_locked
from infra.images.build import mirror_of
from infra.images.definition import read_definition
from infra.images.errors import ImageProblem
from infra.images.lock import Lock, Package, read_lock, write_lock

SUM = "ab" * 32


def test_what_was_written_is_read(tmp_path):
    """Sorted, whatever the order was."""
    packages = (
        Package("z", "1:2-3", "arm64", SUM, "root"),
        Package("a", "1", "all", SUM, "payload"),
    )
    write_lock(Lock(1_700_000_000, packages), tmp_path / "lock")
    assert read_lock(tmp_path / "lock") == Lock(1_700_000_000, packages[::-1])
    assert packages[0].file == "z_1%3a2-3_arm64.deb"


@pytest.mark.parametrize(
    "text", ["", "epoch soon\n", f"epoch 1\na 1 all {SUM}\n", "epoch 1\na 1 all 12 root\n"]
)
def test_no_lock_is_taken_for_one(tmp_path, text):
    """Each fault is said, and with what makes a lock."""
    (tmp_path / "lock").write_text(text)
    with pytest.raises(ImageProblem):
        read_lock(tmp_path / "lock")


def test_the_lock_is_of_the_definition():
    """Whatever the definition names is locked, and one kernel with its parts."""
    names = read_definition().packages
    lock = read_lock()
    root = {one.name for one in lock.used_for("root")}
    payload = {one.name for one in lock.used_for("payload")}
    assert set(names.root) <= root
    assert {one.partition("/")[0] for one in names.payload} <= payload
    for part in names.kernel_parts:
        assert len([one for one in payload if one.startswith(part)]) == 1, part


def test_another_file_than_the_locked_one_is_refused(tmp_path):
    """Also when it lies in the cache already."""
    archive = Archive(tmp_path, read_definition(), Mirror("file:/none", "file:/none"))
    one = Package("a", "1", "all", SUM, "root")
    (tmp_path / one.file).write_bytes(b"changed")
    with pytest.raises(ImageProblem, match=r"a_1_all\.deb is not the locked file"):
        fetch_locked([archive], Lock(1, (one,)), tmp_path)


def test_a_package_that_the_mirror_has_no_more_is_told(tmp_path):
    """With what to do about it."""

    class Moved:
        architecture = "arm64"

        def update(self):
            pass

        def fetch(self, specifications, directory):
            raise ImageProblem(f"apt-get download {specifications[0]} failed (100)")

    wanted = Lock(1, (Package("a", "1", "all", SUM, "root"),))
    with pytest.raises(ImageProblem, match=r"a=1 failed \(100\)\. Where .* name a snapshot"):
        fetch_locked([Moved()], wanted, tmp_path)


def test_a_snapshot_has_both_archives():
    """By the date at the end of its address."""
    mirror = mirror_of("https://snapshot.example/archive/20261126T000000Z/")
    assert mirror == mirror_of("https://snapshot.example/archive/debian/20261126T000000Z")
    assert mirror.debian == "https://snapshot.example/archive/debian/20261126T000000Z"
    assert mirror.security == "https://snapshot.example/archive/debian-security/20261126T000000Z"
    with pytest.raises(ImageProblem, match="image_snapshot"):
        mirror_of("nowhere")
