"""A disk that is really full: no ticket is issued, the reason is said, and nothing is corrupted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from storage_kit import open_storage, record

from steelyard.smartbox.alibi.memory import AlibiMemory
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.errors import StorageFull
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Recorder
from steelyard.smartbox.room import Room

SCRIPT = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from storage_kit import open_storage, record, receipt
from steelyard.smartbox.errors import StorageFull
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE
from steelyard.smartbox.audit.verify import verify_alibi

disk = Path(sys.argv[1])
storage = open_storage(disk)
given, refused = [], 0
filler = disk / "filler"
for number in range(400):
    # Somebody else's file takes the room, and leaves a little more or less of it each time.
    if number >= 3 and number % 4 == 0:
        with filler.open("ab", buffering=0) as stream:
            for size in (65_536, 4096, 256):
                try:
                    while True:
                        stream.write(bytes(size))
                except OSError:
                    pass
        os.truncate(filler, max(0, filler.stat().st_size - number * 211 % 12_000))
    elif filler.exists() and number % 4 == 3:
        filler.unlink()
    try:
        given.append((number, record(storage, number)))
    except StorageFull as full:
        refused += 1
        assert str(full) or full.detail
storage.close()
filler.unlink(missing_ok=True)
storage = open_storage(disk)
waiting = [one.id for one in storage.outbox.waiting(1000)]
assert set(one for _, one in given) <= set(waiting), "an issued ticket is lost"
for number, one in given:
    assert record(storage, number) == one
again = [record(storage, number) for number in range(400)]
assert len(set(again)) == 400
assert len(storage.outbox.waiting(1000)) == 400
storage.close()
finding = verify_alibi(disk / ALIBI_FILE, disk / OUTBOX_FILE)
assert finding.holds, finding.sentence
print(f"{len(given)} issued, {refused} refused, {finding.records} records")
assert refused > 20 and len(given) > 100
"""


def can_mount() -> bool:
    """Whether a file system of a limited size can be mounted in a namespace of one's own."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")
def test_a_full_file_system_refuses_tickets_and_keeps_the_others(tmp_path: Path) -> None:
    """A tmpfs of 8 MB that another writer fills and empties: ENOSPC at any write of both books."""
    script = tmp_path / "full.py"
    script.write_text(SCRIPT)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=8m tmpfs '{disk}' && exec \"$@\""
    here = str(Path(__file__).parent)
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", sys.executable,
         str(script), str(disk), here],
        capture_output=True,
        check=False,
        text=True,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr


def test_a_write_that_fails_leaves_the_memory_as_it_was(tmp_path: Path) -> None:
    """RLIMIT_FSIZE cuts the write in the middle: its half goes away, and the next one fits."""
    script = """
import resource, signal, sys
from pathlib import Path
from steelyard.smartbox.alibi.memory import AlibiMemory
from steelyard.smartbox.errors import StorageFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
alibi, _ = AlibiMemory.open(path, "s")
alibi.append({"n": 1})
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
try:
    alibi.append({"n": "x" * 500})
    raise SystemExit("it was written")
except StorageFull as full:
    assert "File too large" in full.detail, full.detail
assert path.stat().st_size == size
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert alibi.append({"n": 2}).sequence == 2
"""
    path = tmp_path / "a"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert verify_alibi(path).sentence.startswith(f"{path}: 2 records, all as they were written")


def test_a_new_file_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    """The memory goes on in the old one."""
    failing = False

    def sync(descriptor: int) -> None:
        if failing and Path(f"/proc/self/fd/{descriptor}").readlink().name != "a":
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)

    alibi, _ = AlibiMemory.open(tmp_path / "a", "s", sync=sync)
    alibi.append({"n": 1})
    failing = True
    with pytest.raises(StorageFull, match="No space left"):
        alibi.begin_segment(1)
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
    alibi.append({"n": 2})
    failing = False
    alibi.begin_segment(1)
    alibi.append({"n": 3})
    alibi.close()
    assert verify_alibi(tmp_path / "a").records == 3


def test_the_reserve_is_not_for_tickets(tmp_path: Path) -> None:
    """With less than the reserve free nothing is written, and one sentence says what is wanted."""
    storage = open_storage(tmp_path)
    first = record(storage, 1)
    free = os.statvfs(tmp_path)
    storage.room = Room(tmp_path, (free.f_blocks + 1) * free.f_frsize)
    with pytest.raises(StorageFull, match=r"the disk is full: \d+ MiB are free for .* must be"):
        record(storage, 2)
    assert record(storage, 1) == first, "what was issued is told again"
    assert storage.alibi.head.sequence == 1
    storage.room = Room(tmp_path, 1)
    record(storage, 2)
    storage.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).records == 2


def test_a_directory_that_is_gone_is_no_room(tmp_path: Path) -> None:
    """It says so, instead of failing."""
    assert "cannot be asked" in (Room(tmp_path / "none", 1).problem() or "")
    assert Room(tmp_path / "none", 0).problem() is None


async def test_an_outbox_without_room_gets_the_ticket_later(tmp_path: Path) -> None:
    """The alibi memory has it, the outbox was full: it is issued, and queued first."""
    recorder = await Recorder.open(lambda: open_storage(tmp_path))
    storage = recorder.storage
    real = storage.outbox.add
    full = [True]

    def add(found: object) -> None:
        if full[0]:
            raise StorageFull("the outbox: database or disk is full")
        real(found)  # type: ignore[arg-type]

    storage.outbox.add = add  # type: ignore[method-assign]
    first = await recorder.run(record, storage, 1)
    assert storage.alibi.head.sequence == 1
    with pytest.raises(StorageFull):
        await recorder.run(record, storage, 2)
    assert storage.alibi.head.sequence == 1, "nothing new before the old one is in both books"
    full[0] = False
    assert await recorder.run(record, storage, 1) == first
    second = await recorder.run(record, storage, 2)
    waiting = await recorder.run(storage.outbox.waiting, 10)
    assert [one.id for one in waiting] == [first, second]
    await recorder.close()
    assert verify_alibi(tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE).records == 2
