"""The vault's key ring: a JSON file with the keys by id, and which of them seals.

{"current": "k2", "keys": {"k1": "base64 of 32 bytes", "k2": ...},
 "replaced": {"k1": 1700000000000}}
`replaced` (optional) says when a key ceased to be the current one, in milliseconds UTC.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.errors import ConfigurationError
from steelyard.secret_files import read_secret, write_secret

SETTING = "vault.key_ring_file"
KEY_BYTES = 32
_ID = r"^[A-Za-z0-9_-]{1,32}$"
_KeyID = Annotated[str, Field(pattern=_ID)]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    current: _KeyID
    keys: dict[_KeyID, str] = Field(min_length=1, repr=False)
    replaced: dict[_KeyID, int] = Field(default_factory=dict)


class KeyRing:
    """Keys by id; immutable, and without its keys in its repr."""

    def __init__(
        self, current: str, keys: Mapping[str, bytes], replaced: Mapping[str, int] | None = None
    ) -> None:
        if current not in keys:
            raise ConfigurationError(f"{SETTING}: the current key must be one of the keys")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise ConfigurationError(f"{SETTING}: every key must be base64 of {KEY_BYTES} bytes")
        if not all(re.fullmatch(_ID, key_id) for key_id in keys):
            raise ConfigurationError(f"{SETTING}: a key id must match {_ID}")
        self.current = current
        self.keys: Mapping[str, bytes] = MappingProxyType(dict(keys))
        self.replaced: Mapping[str, int] = MappingProxyType(dict(replaced or {}))

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current!r}, keys={sorted(self.keys)})"

    @classmethod
    def generate(cls) -> Self:
        """A ring with one new key, k1."""
        return cls("k1", {"k1": secrets.token_bytes(KEY_BYTES)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises ConfigurationError; never says what stands in it."""
        try:
            document = _Document.model_validate_json(read_secret(path, SETTING))
            keys = {
                key_id: base64.b64decode(text, validate=True)
                for key_id, text in document.keys.items()
            }
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            # Only the member's name: the rest of a path may be a key in the wrong place.
            member = str(first["loc"][0]) if first["loc"] else "the document"
            raise ConfigurationError(
                f"{SETTING}: {path} is no key ring: {member} is missing or wrong"
            ) from None
        except (binascii.Error, ValueError):
            raise ConfigurationError(
                f"{SETTING}: {path}: every key must be base64 of {KEY_BYTES} bytes"
            ) from None
        return cls(document.current, keys, document.replaced)

    def write(self, path: Path) -> None:
        """Replace the file, mode 0600."""
        document = _Document(
            current=self.current,
            keys={key_id: base64.b64encode(key).decode() for key_id, key in self.keys.items()},
            replaced=dict(self.replaced),
        )
        write_secret(path, document.model_dump_json(indent=1).encode() + b"\n")

    @property
    def newest(self) -> str:
        """The key that was added last."""
        return max(self.keys, key=_number)

    def with_new_key(self, at_ms: int = 0, *, use: bool = True) -> "KeyRing":
        """The ring with a further key; with `use` it seals from now on (`at_ms`)."""
        key_id = f"k{max(map(_number, [*self.keys, *self.replaced]), default=0) + 1}"
        keys = {**self.keys, key_id: secrets.token_bytes(KEY_BYTES)}
        if not use:
            return KeyRing(self.current, keys, self.replaced)
        return KeyRing(key_id, keys, {**self.replaced, self.current: at_ms})

    def with_current(self, at_ms: int) -> "KeyRing":
        """The ring whose current key is one that never was: the staged one, or else a new one."""
        staged = [key_id for key_id in self.keys if _number(key_id) > _number(self.current)]
        if not staged:
            return self.with_new_key(at_ms)
        return KeyRing(self.newest, self.keys, {**self.replaced, self.current: at_ms})

    def without(self, key_ids: set[str]) -> "KeyRing":
        """The ring without some of its keys; the current one stays in any case."""
        gone = key_ids - {self.current}
        keys = {key_id: key for key_id, key in self.keys.items() if key_id not in gone}
        return KeyRing(self.current, keys, self.replaced)


def _number(key_id: str) -> int:
    """Keys are numbered k1, k2, ...; one that was named by hand counts as the oldest."""
    return int(key_id[1:]) if re.fullmatch(r"k\d{1,9}", key_id) else 0
