"""Privacy managers: what each one holds, and how a payload reaches the parties.

A payload is stored at its sender's manager first, under the hash of its encryption (here: of the
payload and a random salt, because the sandbox does not encrypt). Sending the transaction hands it
to the parties' managers; a hash can be handed out once.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.sandbox.errors import TesseraError

DIGEST_SIZE = 64


@dataclass(slots=True)
class PrivacyManager:
    """One party's manager. `raw` holds what was stored, `received` what takes part in the chain."""

    name: str
    public_key: str
    up: bool = True
    url: str = ""
    raw: dict[bytes, bytes] = field(default_factory=dict)
    received: dict[bytes, bytes] = field(default_factory=dict)


class PayloadWatcher(Protocol):
    """Is told what the managers hold, so that it can be kept."""

    def stored(self, manager: PrivacyManager, digest: bytes, payload: bytes) -> None:
        """A payload was stored at its sender's manager."""
        ...

    def held(self, manager: PrivacyManager, digest: bytes) -> None:
        """A manager has a payload that may take part in the chain."""
        ...


class PrivacyNetwork:
    """The managers of the consortium; they know each other's keys."""

    def __init__(self, managers: Sequence[PrivacyManager]) -> None:
        self.managers = tuple(managers)
        self.watcher: PayloadWatcher | None = None
        self._by_key = {manager.public_key: manager for manager in managers}

    def store_raw(self, manager: PrivacyManager, payload: bytes, sender_key: str | None) -> bytes:
        """Keep a payload at its sender's manager; gives the hash that the transaction carries.

        Raises TesseraError if the key is not this manager's.
        """
        if sender_key is not None and sender_key != manager.public_key:
            raise TesseraError(
                404, f"Public key {sender_key} not found when searching for private key"
            )
        digest = hashlib.sha3_512(secrets.token_bytes(32) + payload).digest()
        manager.raw[digest] = payload
        if self.watcher is not None:
            self.watcher.stored(manager, digest, payload)
        return digest

    def distribute(self, manager: PrivacyManager, digest: bytes, parties: Sequence[str]) -> None:
        """Hand a stored payload to the parties, before its transaction goes into the pool.

        Raises TesseraError when the hash is unknown or was handed out before, or a party cannot be
        reached; parties that were served before the failing one keep the payload, as they do in
        Tessera, and the sender's manager forgets that it sent.
        """
        if not manager.up:
            raise TesseraError(500, f"{manager.name} is down")
        payload = manager.raw.get(digest)
        encoded = base64.b64encode(digest).decode()
        if payload is None:
            raise TesseraError(404, f"Raw Transaction with hash {encoded} was not found")
        for key in parties:
            _check_key(key)
        if digest in manager.received:
            raise TesseraError(500, _already_stored(digest))
        for key in dict.fromkeys(parties):
            if key != manager.public_key:
                self._push(key, digest, payload)
        self._hold(manager, digest, payload)

    def _push(self, key: str, digest: bytes, payload: bytes) -> None:
        recipient = self._by_key.get(key)
        if recipient is None or not recipient.up:
            raise TesseraError(404, f"Recipient not found for key: {key}")
        if digest in recipient.received:
            raise TesseraError(500, f"Unable to push payload to recipient url {recipient.url}/")
        self._hold(recipient, digest, payload)

    def _hold(self, manager: PrivacyManager, digest: bytes, payload: bytes) -> None:
        manager.received[digest] = payload
        if self.watcher is not None:
            self.watcher.held(manager, digest)


def _already_stored(digest: bytes) -> str:
    return (
        'Unique index or primary key violation: "PUBLIC.PRIMARY_KEY_D ON '
        f'PUBLIC.ENCRYPTED_TRANSACTION(HASH) VALUES {digest[0]}"; SQL statement:\n'
        "INSERT INTO ENCRYPTED_TRANSACTION (ENCODED_PAYLOAD, TIMESTAMP, HASH) "
        "VALUES (?, ?, ?) [23505-200]"
    )


def _check_key(key: str) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    foreign = next((character for character in key if character not in alphabet), None)
    if foreign is not None:
        raise TesseraError(500, f"Illegal base64 character {ord(foreign):x}")
    try:
        size = len(base64.b64decode(key, validate=True))
    except ValueError:
        raise TesseraError(500, "Last unit does not have enough valid bits") from None
    if size != 32:
        raise TesseraError(500, f"Index {size} out of bounds for length {size}")
