"""The settings of the operator's display; they stand in the section `smartbox`."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from steelyard.settings import Section

Language = Literal["en", "pt", "de"]

# What a browser may call a host: a name, an IPv4 address, or an IPv6 address without brackets.
_NAME = re.compile(r"^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:]{2,39})$")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("must be a time zone such as Europe/Lisbon, and known here") from None
    return name


def _check_name(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} must be a host's name in lower case, or an address")
    return name


TimeZone = Annotated[str, AfterValidator(_check_zone)]


class DisplaySettings(Section):
    """How the display is shown, and to whom beside the SmartBox itself."""

    display_language: Language = Field(
        default="en", description="Language of the display, until somebody chooses another there."
    )
    display_time_zone: TimeZone = Field(
        default="UTC", description="Time zone of the times on the display and on printed tickets."
    )
    display_host: str | None = Field(
        default=None,
        min_length=1,
        description="Address to bind for displays on other machines, over HTTPS; without it there "
        "is only the one at 127.0.0.1, on `status_port`.",
    )
    display_port: int = Field(
        default=8191, ge=0, le=65535, description="TCP port at `display_host`; 0 takes a free one."
    )
    display_names: tuple[Annotated[str, AfterValidator(_check_name)], ...] = Field(
        default=(),
        description="Names and addresses by which other machines' browsers call the SmartBox; "
        "whatever calls it otherwise is refused. Wanted with `display_host`.",
    )
    display_password_file: Path | None = Field(
        default=None,
        description="File with the password for displays on other machines, of 12 characters or "
        "more; the user name is `operator`. Wanted with `display_host`.",
    )
    display_certificate_file: Path | None = Field(
        default=None,
        description="Certificate for them, with its chain; else `certificate_file`, which browsers "
        "do not know.",
    )
    display_key_file: Path | None = Field(
        default=None, description="Private key of that certificate; else `key_file`."
    )
    display_commands: bool = Field(
        default=False,
        description="Whether displays on other machines have buttons; the one at 127.0.0.1 always "
        "has.",
    )
    display_tickets: int = Field(
        default=20, ge=1, le=100, description="How many of the last tickets a display shows."
    )
    display_font_file: Path | None = Field(
        default=None,
        description="TrueType font for tickets in PDF; else one that has the Latin letters only.",
    )

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.display_host is None:
            return self
        if not self.display_names:
            raise ValueError("display_names: must name the SmartBox, as display_host is set")
        if self.display_password_file is None:
            raise ValueError("display_password_file: must be set, as display_host is")
        if (self.display_certificate_file is None) != (self.display_key_file is None):
            raise ValueError("display_certificate_file, display_key_file: must be set together")
        return self
