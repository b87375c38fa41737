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
from steelyard.sandbox.javabase64 import decode_strictly

_KEY_SIZE = 32
# What Tessera says of a peer that does not answer, before it forgets its keys.
_OFFLINE = (
    '{{\n"servlet":"org.glassfish.jersey.servlet.ServletContainer-1b2c4efc",\n'
    '"message":"Connection error while communicating with {url}/",\n'
    '"url":"/sendsignedtx",\n"status":"410"\n}}'
)


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
        self._forgotten: set[str] = set()  # managers whose silence was noticed
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
        payload = manager.raw.get(digest)
        encoded = base64.b64encode(digest).decode()
        if payload is None:
            raise TesseraError(404, f"Raw Transaction with hash {encoded} was not found")
        keys = [normal_key(key) for key in parties]
        if digest in manager.received:
            raise TesseraError(500, _already_stored(digest))
        for key in dict.fromkeys(keys):
            if key != manager.public_key:
                self._push(key, digest, payload)
        self._hold(manager, digest, payload)

    def _push(self, key: str, digest: bytes, payload: bytes) -> None:
        recipient = self._by_key.get(key)
        if recipient is None or recipient.name in self._forgotten:
            raise TesseraError(404, f"Recipient not found for key: {key}")
        if not recipient.up:
            self._forgotten.add(recipient.name)
            raise TesseraError(410, _OFFLINE.format(url=recipient.url))
        if digest in recipient.received:
            raise TesseraError(500, f"Unable to push payload to recipient url {recipient.url}/")
        self._hold(recipient, digest, payload)

    def came_back(self, manager: PrivacyManager) -> None:
        """A manager answers again, and the others hear of it."""
        manager.up = True
        self._forgotten.discard(manager.name)

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


def normal_key(key: str) -> str:
    """A public key in its one spelling. Raises TesseraError for what is none."""
    try:
        found = decode_strictly(key)
    except ValueError as error:
        raise TesseraError(500, str(error)) from None
    if len(found) < _KEY_SIZE:
        raise TesseraError(500, f"Index {len(found)} out of bounds for length {len(found)}")
    return base64.b64encode(found).decode()
