"""What root found on the card, for the first boot's unprivileged part: a credential of its unit."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.errors import ConfigurationError
from steelyard.pki.files import PRIVATE, replace
from steelyard.station.card import Card


class Told(BaseModel):
    """The card, its authority, what is wrong, and the code that names this very machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_code: str
    card: Card | None = Field(default=None, repr=False)
    authority: str | None = None
    fault: str | None = None

    def write(self, path: Path) -> None:
        """For root alone; systemd hands it on."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, self.model_dump_json().encode(), PRIVATE)

    @classmethod
    def read(cls, path: Path) -> "Told":
        """Raises ConfigurationError."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            reason = error.strerror
        except ValidationError:
            reason = "it was not written by `steelyard station prepare`"
        raise ConfigurationError(f"station.told_file: {path} cannot be read: {reason}") from None
