"""The card's files on the boot partition, and how their secrets are wiped.

A FAT has no journal: what is wiped is first given another name, then overwritten, then removed,
each step brought to the card before the next. Wherever the power goes, the next boot sees a whole
file under its own name, or goes on wiping.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from steelyard.pki.files import sync_directory
from steelyard.station.card import FILE, MAX_BYTES, Card, read_card
from steelyard.station.errors import CardUnusable, MachineRefuses

CA_FILE = "ca.pem"
USED_FILE = "station.used"
TAKEN_FILE = "station-taken.txt"
_TAKEN = """The station has taken its settings from station.json and wiped it: it is enrolled.
To change its network, write a new station.json beside this file, and start the station again.
"""


@dataclass(frozen=True, slots=True)
class BootPartition:
    """The directory `steelyard` of the boot partition."""

    directory: Path

    def read(self) -> Card | None:
        """What the card says; None where it says nothing. Raises CardUnusable."""
        content = self._read(FILE)
        return None if content is None else read_card(content)

    def authority(self) -> bytes:
        """The platform's authority. Raises CardUnusable."""
        content = self._read(CA_FILE)
        if content is None:
            raise CardUnusable(f"{CA_FILE} is missing: it must be the platform's authority in PEM")
        return content

    def wipe(self) -> None:
        """Wipe the card's file, if it is there. Raises MachineRefuses."""
        try:
            if (self.directory / FILE).exists():
                self._remove_used()
                (self.directory / FILE).rename(self.directory / USED_FILE)
                sync_directory(self.directory)
            self.finish_wiping()
        except OSError as error:
            raise _refused(error, self.directory) from None

    def finish_wiping(self) -> None:
        """Go on with a wiping that was interrupted. Raises MachineRefuses."""
        try:
            if not (self.directory / USED_FILE).exists():
                return
            (self.directory / TAKEN_FILE).write_text(_TAKEN, "utf-8")
            self._remove_used()
        except OSError as error:
            raise _refused(error, self.directory) from None

    def _remove_used(self) -> None:
        path = self.directory / USED_FILE
        if not path.exists():
            return
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink()
        sync_directory(self.directory)

    def _read(self, name: str) -> bytes | None:
        try:
            with (self.directory / name).open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CardUnusable(f"{name} cannot be read: {error.strerror}") from None


def _refused(error: OSError, directory: Path) -> MachineRefuses:
    return MachineRefuses(f"{error.filename or directory} cannot be wiped: {error.strerror}")
