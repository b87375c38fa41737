"""slot.txt is one sector, which firmware, initramfs and station read alike."""

import re
import subprocess
from pathlib import Path

import pytest

from infra.images.station import slot_file
from infra.images.station.commands import running
from infra.images.station.errors import SlotProblem
from infra.images.station.slot_file import SlotFile

INIT = Path(__file__).parents[2] / "images/initramfs/init"


@pytest.mark.parametrize("slot", ["a", "b"])
@pytest.mark.parametrize("state", ["good", "try a", "try b", "tried a", "tried b"])
def test_what_is_written_is_read(tmp_path, slot, state):
    """A sector of 512 bytes, whose first line is the firmware's."""
    wanted = SlotFile(slot, state)
    (tmp_path / "slot.txt").write_bytes(b"x" * 512)
    slot_file.write(tmp_path, wanted)
    text = (tmp_path / "slot.txt").read_bytes()
    assert len(text) == 512
    assert text.startswith(f"os_prefix={slot}/\n".encode())
    # The firmware reads lines of up to 98 characters.
    assert max(map(len, text.splitlines())) < 98
    assert slot_file.read(tmp_path) == wanted


@pytest.mark.parametrize(
    "text", [b"", b"os_prefix=c/\n# state good\n", b"\0" * 512, b"# state good\n"]
)
def test_anything_else_is_refused(text):
    """A damaged card is said to be one."""
    with pytest.raises(SlotProblem, match="flashed anew"):
        slot_file.parse(text)


def test_a_card_without_it_is_said():
    """By the file's name."""
    with pytest.raises(SlotProblem, match=r"slot\.txt"):
        slot_file.read(Path("/nowhere"))


def test_the_initramfs_writes_the_same(tmp_path):
    """Its shell function gives the bytes that the station's program gives."""
    body = re.search(r"^write_slot\(\) \{\n.*?^\}", INIT.read_text(), re.MULTILINE | re.DOTALL)
    assert body is not None
    script = body[0].replace("/slot.new", f"{tmp_path}/new").replace("/boot/", f"{tmp_path}/")
    (tmp_path / "slot.txt").write_bytes(b"x" * 512)
    subprocess.run(["sh", "-c", f"{script}\nwrite_slot a 'tried b'"], check=True)
    assert (tmp_path / "slot.txt").read_bytes() == SlotFile("a", "tried b").text()


def test_the_kernel_says_which_slot_runs():
    """By a word of its command line, and nothing that only looks like it."""
    assert running("quiet steelyard.slot=b panic=10") == "b"
    with pytest.raises(SlotProblem):
        running("quiet steelyard.slot=c xsteelyard.slot=a")
