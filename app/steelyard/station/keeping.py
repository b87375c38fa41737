"""What is kept of the card on the data partition: everything but the claim code.

At every boot the machine becomes what stands here, whichever of its root file systems it runs from.
"""

from dataclasses import dataclass
from pathlib import Path

from steelyard.pki.files import PRIVATE, PUBLIC, update
from steelyard.station.boot_partition import CA_FILE
from steelyard.station.card import FILE, Card, read_card
from steelyard.station.errors import CardUnusable, MachineRefuses


@dataclass(frozen=True, slots=True)
class Kept:
    """The directory with the kept card, which only root may read."""

    directory: Path

    def keep(self, card: Card, authority: bytes) -> None:
        """Keep a card without its claim code. Raises MachineRefuses."""
        try:
            # The card last: where it is, its authority is.
            update(self.directory / CA_FILE, authority, PUBLIC)
            update(self.directory / FILE, card.without_claim().as_json(), PRIVATE)
        except OSError as error:
            raise MachineRefuses(
                f"{error.filename or self.directory} cannot be written: {error.strerror}"
            ) from None

    def read(self) -> tuple[Card, bytes] | None:
        """The kept card and its authority; None where nothing is kept. Raises MachineRefuses."""
        try:
            content = (self.directory / FILE).read_bytes()
            authority = (self.directory / CA_FILE).read_bytes()
            return read_card(content), authority
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MachineRefuses(f"{error.filename} cannot be read: {error.strerror}") from None
        except CardUnusable as problem:
            raise MachineRefuses(f"{self.directory}: {problem.detail}") from None
