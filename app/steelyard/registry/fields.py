"""The kinds of fields that the entities' models are made of."""

import base64
import binascii
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from steelyard.ticket import Timestamp

MAX_GRAMS = 2**31 - 1
_MAX_URL = 512


def _check_text(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("must be printable characters without blanks at either end")
    return value


def _check_login(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("must be printable characters without blanks")
    return value


def _check_url(value: str) -> str:
    wanted = "must be an http or https URL with a host, without user, query and fragment"
    try:
        url = urlsplit(value)
        sound = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    extras = "@" in url.netloc or "?" in value or "#" in value
    if not sound or extras or not value.isascii() or any(c <= " " or c == "\x7f" for c in value):
        raise ValueError(wanted)
    return value


def _check_tessera_key(value: str) -> str:
    try:
        octets = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != 32 or base64.b64encode(octets).decode() != value:
        raise ValueError("must be 32 bytes in base64")
    return value


EntityId = Annotated[
    str,
    Field(
        pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$",
        description="An identifier (a ULID).",
        examples=["01JD3ZQ8J1T6Y0V8M4N2K7R5XA"],
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_check_text)]
# A ticket's id is <station>_<weighbridge>_<milliseconds> in at most 96 characters; a name with
# an underscore would make two readings of one id possible.
IdName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.~-]{0,39}$",
        description="Letters, digits and . ~ - : it becomes a part of ticket ids.",
    ),
]
NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Login = Annotated[str, Field(min_length=3, max_length=254), AfterValidator(_check_login)]
Password = Annotated[
    str, Field(min_length=1, max_length=128, json_schema_extra={"format": "password"})
]
NodeUrl = Annotated[str, Field(min_length=8, max_length=_MAX_URL), AfterValidator(_check_url)]
TesseraKey = Annotated[str, Field(min_length=44, max_length=44), AfterValidator(_check_tessera_key)]
Fingerprint = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the certificate (DER), in hex.")
]
Capacity = Annotated[int, Field(ge=1, le=MAX_GRAMS, description="In grams.")]
Switch = Literal["active", "disabled"]


class Sent(BaseModel):
    """A body that a caller sends."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Shown(BaseModel):
    """An entity as it is shown."""

    id: EntityId
    created_at: Timestamp
    updated_at: Timestamp


def kept() -> Any:
    """The default of a merge patch's member: absent means that the field is kept.

    The value is never read: `model_fields_set` says what was sent. It exists so that null is
    refused where a field cannot be removed.
    """
    return Field(default_factory=lambda: None)
