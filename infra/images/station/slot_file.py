"""slot.txt: which of the two roots the firmware starts, in one sector of the boot partition.

The firmware takes the line `os_prefix=`; the state is a remark to it. `good`: this root is to stay.
`try X`: X is started for the first time, and its initramfs writes `tried X` with the other root's
prefix before it does anything else. So whatever becomes of X, the other root is next, unless X says
that it is well.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import SlotProblem

SLOTS = ("a", "b")
_SECTOR = 512
_FORM = re.compile(r"os_prefix=([ab])/\n# state (good|try [ab]|tried [ab])\n\n*")


@dataclass(frozen=True, slots=True)
class SlotFile:
    """What the firmware starts next, and what is thought of it."""

    next: str
    state: str = "good"

    def text(self) -> bytes:
        """The whole file, of the size of a sector."""
        words = f"os_prefix={self.next}/\n# state {self.state}\n"
        return words.ljust(_SECTOR, "\n").encode("ascii")


def other(slot: str) -> str:
    """The slot that a slot is not."""
    return SLOTS[1 - SLOTS.index(slot)]


def is_on_trial(slot_file: SlotFile, slot: str) -> bool:
    """Whether the root that runs from a slot has yet to say that the station is well.

    Also where its initramfs could not write that it is tried.
    """
    return slot_file.state in (f"try {slot}", f"tried {slot}")


def parse(content: bytes) -> SlotFile:
    """Raises SlotProblem."""
    found = _FORM.fullmatch(content.decode("ascii", "replace"))
    if found is None:
        raise SlotProblem("slot.txt is not what it should be: the card is to be flashed anew")
    return SlotFile(found[1], found[2])


def read(boot: Path) -> SlotFile:
    """Raises SlotProblem."""
    try:
        return parse((boot / "slot.txt").read_bytes())
    except OSError as error:
        raise SlotProblem(f"{boot}/slot.txt: {error.strerror}") from None


def write(boot: Path, slot_file: SlotFile) -> None:
    """In place and with one write of one sector: a power cut leaves the old text or the new one."""
    file = os.open(boot / "slot.txt", os.O_WRONLY)
    try:
        os.pwrite(file, slot_file.text(), 0)
        os.fsync(file)
    finally:
        os.close(file)
