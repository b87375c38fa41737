"""What a new card says of a SmartBox that is enrolled: its proxy and its display's time zone.

Root sees at each boot whether they differ from the SmartBox's configuration. That belongs to the
SmartBox's user, who brings them in before the SmartBox starts.
"""

import json
import os
import re
import tomllib
from pathlib import Path
from stat import S_ISREG

from pydantic import BaseModel, ConfigDict, ValidationError

from steelyard.pki.files import PUBLIC, replace
from steelyard.station.card import Card
from steelyard.station.errors import MachineRefuses

MAX_BYTES = 65_536
_HEADER = re.compile(r"^\[smartbox\][ \t]*(?:#.*)?\n", re.MULTILINE)
_NEXT_TABLE = re.compile(r"^\[", re.MULTILINE)


class Following(BaseModel):
    """Settings of the section `smartbox` by their names; what is None does not stand there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    proxy_url: str | None
    display_time_zone: str

    @classmethod
    def of(cls, card: Card) -> "Following":
        """The card's."""
        return cls(proxy_url=card.network.proxy, display_time_zone=card.time_zone)

    @classmethod
    def read(cls, path: Path) -> "Following":
        """What `write` wrote. Raises MachineRefuses."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise MachineRefuses(f"{path} cannot be read: {error.strerror}") from None
        except ValidationError:
            raise MachineRefuses(f"{path} was not written by `steelyard station prepare`") from None

    def write(self, path: Path) -> None:
        """For everybody: no secret is among it. Raises OSError."""
        replace(path, self.model_dump_json().encode(), PUBLIC)

    def is_followed(self, config: Path) -> bool:
        """Whether the configuration says the same. Raises MachineRefuses."""
        text = _read(config)
        return self._in(text, config) == text

    def bring(self, config: Path) -> bool:
        """Bring them into the configuration; whether it was another. Raises MachineRefuses."""
        text = _read(config)
        if (new := self._in(text, config)) == text:
            return False
        try:
            replace(config, new.encode(), PUBLIC)
        except OSError as error:
            raise MachineRefuses(f"{config} cannot be written: {error.strerror}") from None
        return True

    def _in(self, text: str, config: Path) -> str:
        """The text with these settings, and with all else as it is, comments and order."""
        told, before = self.model_dump(), _smartbox(text, config)
        wanted = {name: value for name, value in told.items() if value is not None}
        after = {name: value for name, value in before.items() if name not in told} | wanted
        if before == after:
            return text
        if (header := _HEADER.search(text)) is None:
            raise MachineRefuses(f"{config} has no line [smartbox]")
        following = _NEXT_TABLE.search(text, header.end())
        end = following.start() if following is not None else len(text)
        kept = re.sub(rf"(?m)^[ \t]*(?:{'|'.join(told)})[ \t]*=.*\n?", "", text[header.end() : end])
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in wanted.items())
        new = text[: header.end()] + lines + kept + text[end:]
        if not _says(new, after):
            # Somebody has written it in another way.
            raise MachineRefuses(f"{config}: set {' and '.join(told)} of the card there by hand")
        return new


def _read(config: Path) -> str:
    # Root reads it in a directory of somebody else's: no link is followed, no pipe waited for.
    try:
        descriptor = os.open(config, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MAX_BYTES + 1) if S_ISREG(os.fstat(descriptor).st_mode) else None
        if content is None or len(content) > MAX_BYTES:
            raise MachineRefuses(f"{config} must be a file of at most {MAX_BYTES} bytes")
        return content.decode("utf-8")
    except OSError as error:
        raise MachineRefuses(f"{config} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MachineRefuses(f"{config} is no text in UTF-8") from None


def _says(text: str, values: dict[str, object]) -> bool:
    try:
        return tomllib.loads(text).get("smartbox") == values
    except (ValueError, RecursionError):
        return False


def _smartbox(text: str, config: Path) -> dict[str, object]:
    try:
        found = tomllib.loads(text).get("smartbox")
    # Also for brackets within brackets without end, and for a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise MachineRefuses(f"{config} is no TOML: {error}") from None
    if not isinstance(found, dict):
        raise MachineRefuses(f"{config} has no section smartbox")
    return found
