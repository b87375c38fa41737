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

# One candidate in twelve is taken: a letter is capital in half of its cases.
_PLAIN_DIGITS = 12


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


def draw_node_key(beside: Sequence[str] = ()) -> NodeKey:
    """A fresh key for a node whose fellow validators' keys are born elsewhere.

    The first digits of its address have no capital letter in the checksummed form. Two such
    addresses compare the same in both of GoQuorum's orders, whatever the others are (but where
    their first twelve digits are the same, once in 2^48), so hosts that do not know each other's
    keys need not draw one after the other. `beside` are addresses that may be of another kind; they
    must agree among themselves, and the key is drawn until it agrees with them, too.
    """
    while True:
        key = NodeKey.of(secrets.token_bytes(32))
        if is_plain(key.address) and orders_agree([*beside, key.address]):
            return key


def is_plain(address: str) -> bool:
    """Whether a checksummed address has no capital letter among its first twelve digits."""
    lead = address.removeprefix("0x")[:_PLAIN_DIGITS]
    return lead == lead.lower()


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


def unlocked(key: PrivacyKey) -> str:
    """The text of a tm.key, as Tessera's own key generation writes an unlocked one."""
    return json.dumps({"type": "unlocked", "data": {"bytes": key.private}})


def write_privacy_key(directory: Path, key: PrivacyKey) -> None:
    """Both halves: tm.key and tm.pub."""
    write_secret(directory / "tm.key", unlocked(key))
    (directory / "tm.pub").write_text(key.public, "ascii")


def read_private_half(path: Path) -> PrivacyKey:
    """The pair that a tm.key is half of. Raises CorruptState; never shows the content."""
    try:
        document = json.loads(path.read_text("ascii"))
        private = base64.b64decode(document["data"]["bytes"], validate=True)
        return PrivacyKey.of(X25519PrivateKey.from_private_bytes(private))
    except (OSError, ValueError, KeyError, TypeError):
        raise CorruptState(f"{path} holds no unlocked private key of Tessera's") from None


def read_privacy_key(directory: Path) -> PrivacyKey:
    """Raises CorruptState, also when the halves do not belong together."""
    try:
        key = read_private_half(directory / "tm.key")
        public = (directory / "tm.pub").read_text("ascii").strip()
    except (OSError, ValueError, CorruptState):
        raise CorruptState(f"{directory}: tm.key and tm.pub hold no pair of keys") from None
    if key.public != public:
        raise CorruptState(f"{directory}: tm.pub is not the public half of tm.key")
    return key
