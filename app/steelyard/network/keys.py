"""Node keys and Tessera's key pairs, in the engines' own file formats."""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey
from eth_utils.exceptions import ValidationError

from steelyard.network.errors import CorruptState


@dataclass(frozen=True, slots=True)
class NodeKey:
    """The secp256k1 key by which a node's peers and fellow validators know it."""

    private: bytes = field(repr=False)
    address: str
    identity: str

    @classmethod
    def of(cls, private: bytes) -> "NodeKey":
        """The key of 32 private bytes; `address` is checksummed, `identity` the enode's hex."""
        key = PrivateKey(private)
        public = key.public_key
        return cls(private, public.to_checksum_address(), public.to_bytes().hex())


@dataclass(frozen=True, slots=True)
class PrivacyKey:
    """A Curve25519 pair: `public` is what transactions name a party by, in base64."""

    private: str = field(repr=False)
    public: str

    @classmethod
    def generate(cls) -> "PrivacyKey":
        """A fresh pair. NaCl's box, which Tessera uses, takes any clamped 32 bytes."""
        return cls.of(X25519PrivateKey.generate())

    @classmethod
    def of(cls, key: X25519PrivateKey) -> "PrivacyKey":
        """Both halves as Tessera writes them."""
        private = base64.b64encode(key.private_bytes_raw()).decode()
        return cls(private, base64.b64encode(key.public_key().public_bytes_raw()).decode())


def draw_node_keys(count: int) -> list[NodeKey]:
    """Fresh keys whose addresses sort the same as bytes and as checksummed strings.

    GoQuorum 24.4.1 sorts its validators the one way when it is fresh and the other after a
    restart; where the orders differ, restarted nodes disagree with the others about whose turn
    it is, and blocks stall (docs/decisions/network-keys.md).
    """
    keys: list[NodeKey] = []
    while len(keys) < count:
        candidate = NodeKey.of(secrets.token_bytes(32))
        if orders_agree([*(key.address for key in keys), candidate.address]):
            keys.append(candidate)
    return keys


def orders_agree(addresses: Sequence[str]) -> bool:
    """Whether checksummed addresses sort the same with and without regard to their case."""
    return sorted(addresses) == sorted(addresses, key=str.lower)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, "ascii")


def write_node_key(path: Path, key: NodeKey) -> None:
    """As geth reads it: 64 hexadecimal digits."""
    write_secret(path, key.private.hex())


def read_node_key(path: Path) -> NodeKey:
    """Raises CorruptState; never shows the content."""
    try:
        return NodeKey.of(bytes.fromhex(path.read_text("ascii").strip()))
    except (OSError, ValueError, ValidationError):
        raise CorruptState(f"{path} holds no node key of 64 hexadecimal digits") from None


def write_privacy_key(directory: Path, key: PrivacyKey) -> None:
    """As Tessera's own key generation writes an unlocked pair: tm.key and tm.pub."""
    document = {"type": "unlocked", "data": {"bytes": key.private}}
    write_secret(directory / "tm.key", json.dumps(document))
    (directory / "tm.pub").write_text(key.public, "ascii")


def read_privacy_key(directory: Path) -> PrivacyKey:
    """Raises CorruptState, also when the halves do not belong together."""
    try:
        document = json.loads((directory / "tm.key").read_text("ascii"))
        private = base64.b64decode(document["data"]["bytes"], validate=True)
        key = PrivacyKey.of(X25519PrivateKey.from_private_bytes(private))
        public = (directory / "tm.pub").read_text("ascii").strip()
    except (OSError, ValueError, KeyError, TypeError):
        raise CorruptState(f"{directory}: tm.key and tm.pub hold no pair of keys") from None
    if key.public != public:
        raise CorruptState(f"{directory}: tm.pub is not the public half of tm.key")
    return key
