"""Pages by cursor: an opaque text that says after which entry to go on."""

import base64
import binascii
import json
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from steelyard.errors import FieldError
from steelyard.json_text import read_json
from steelyard.web.errors import BadCursor

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Entries on a page.")]
Cursor = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-]{1,512}$",
        description="Where to go on: `next` of the page before, exactly as it was given.",
    ),
]
ItemT = TypeVar("ItemT")
PositionT = TypeVar("PositionT")


class PageQuery(BaseModel):
    """The query of a list: subclasses add its filters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class Page(BaseModel, Generic[ItemT]):
    """One page of a list. `next` is null on the last."""

    items: list[ItemT]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


def encode_cursor(position: object) -> str:
    """A cursor that holds a position: any JSON value. It is opaque to callers, but no secret."""
    text = json.dumps(position, separators=(",", ":"), ensure_ascii=True)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, adapter: TypeAdapter[PositionT]) -> PositionT:
    """The position in a cursor, checked strictly. Raises BadCursor.

    A cursor is only accepted in the very form in which `encode_cursor` makes it. A caller who
    makes one up moves within the same list: it never widens what they may see.
    """
    wrong = BadCursor(
        errors=[FieldError("cursor", "must be `next` of the page before, as it was given")]
    )
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        position = adapter.validate_json(raw, strict=True)
        if encode_cursor(read_json(raw)) != cursor:
            raise wrong
    except (ValidationError, binascii.Error, ValueError):
        raise wrong from None
    return position
