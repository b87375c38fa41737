"""Encryption at rest: AES-256-GCM, bound to the place where the value stands.

A sealed value is `version (1) | length of key id (1) | key id | nonce (12) | ciphertext and tag`.
The associated data is all that stands before the nonce, and the place: table, row, column; a value
moved to another row or column does not open. Nonces are random: NIST SP 800-38D, section 8.3,
allows 2^32 values under one key, which is far from what a platform seals between two rotations.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steelyard.store.errors import VaultFormat, VaultKeyUnknown, VaultTampered
from steelyard.store.key_ring import KeyRing

VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands. Each part is the name as the database has it."""

    table: str
    row: str
    column: str

    def encode(self) -> bytes:
        """The parts, each with its length, so that no two places have the same bytes."""
        parts = (part.encode() for part in (self.table, self.row, self.column))
        return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


class Vault:
    """Seals and opens values with the keys of a ring file.

    The file is looked at again when it was replaced, so that a rotation reaches every process.
    """

    def __init__(self, ring: KeyRing, path: Path | None = None) -> None:
        self._ring = ring
        self._path = path
        self._stamp = _stamp(path) if path else None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key ring; ConfigurationError when it is missing, open to others or bad."""
        return cls(KeyRing.read(path), path)

    @property
    def current_key(self) -> str:
        """The id of the key that seals."""
        self._reload_if_replaced()
        return self._ring.current

    @property
    def ring(self) -> KeyRing:
        """The key ring as the file has it now."""
        self._reload_if_replaced()
        return self._ring

    def seal(self, where: Place, clear: bytes) -> bytes:
        """Encrypt `clear` for one place."""
        self._reload_if_replaced()
        key_id = self._ring.current
        header = bytes([VERSION, len(key_id)]) + key_id.encode()
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = AESGCM(self._ring.keys[key_id])
        return header + nonce + cipher.encrypt(nonce, clear, header + where.encode())

    def open(self, where: Place, sealed: bytes) -> bytes:
        """The clear value. Raises VaultTampered when it is not what was sealed for this place."""
        key_id, header, nonce, ciphertext = _split(where, sealed)
        cipher = AESGCM(self._key(where, key_id))
        try:
            return cipher.decrypt(nonce, ciphertext, header + where.encode())
        except InvalidTag:
            raise VaultTampered(where.table, where.row, where.column) from None

    def seal_text(self, where: Place, clear: str) -> bytes:
        """`seal` of the text's UTF-8."""
        return self.seal(where, clear.encode())

    def open_text(self, where: Place, sealed: bytes) -> str:
        """`open` as text."""
        return self.open(where, sealed).decode()

    def _key(self, where: Place, key_id: str) -> bytes:
        if key_id not in self._ring.keys:
            self._reload_if_replaced()
        try:
            return self._ring.keys[key_id]
        except KeyError:
            raise VaultKeyUnknown(where.table, where.row, where.column) from None

    def _reload_if_replaced(self) -> None:
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp is not None and stamp != self._stamp:
            self._ring = KeyRing.read(self._path)
            self._stamp = stamp


def key_id_of(where: Place, sealed: bytes) -> str:
    """The id of the key that a value says it was sealed with; not authenticated."""
    return _split(where, sealed)[0]


def _split(where: Place, sealed: bytes) -> tuple[str, bytes, bytes, bytes]:
    malformed = VaultFormat(where.table, where.row, where.column)
    if len(sealed) < 2 or sealed[0] != VERSION:
        raise malformed
    end = 2 + sealed[1]
    if len(sealed) < end + NONCE_BYTES + TAG_BYTES:
        raise malformed
    try:
        key_id = sealed[2:end].decode("ascii")
    except UnicodeDecodeError:
        raise malformed from None
    return key_id, sealed[:end], sealed[end : end + NONCE_BYTES], sealed[end + NONCE_BYTES :]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None  # being replaced, or gone: the keys that were read go on serving
    return status.st_ino, status.st_mtime_ns, status.st_size
