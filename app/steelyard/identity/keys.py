"""Signing keys for access tokens: Ed25519 or P-256, as PEM and as JSON Web Keys (RFC 7517)."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from steelyard.errors import ConfigurationError
from steelyard.json_text import read_json
from steelyard.secret_files import read_secret

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
_COORDINATE_BYTES = 32


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, the one algorithm that it may be used with, and its RFC 7638 thumbprint."""

    id: str
    algorithm: str
    key: PublicKey

    @classmethod
    def of(cls, key: PublicKey) -> Self:
        """The verification key of a public key."""
        algorithm = "EdDSA" if isinstance(key, Ed25519PublicKey) else "ES256"
        return cls(thumbprint(_members(key)), algorithm, key)

    def as_jwk(self) -> dict[str, str]:
        """The JSON Web Key."""
        return {**_members(self.key), "kid": self.id, "alg": self.algorithm, "use": "sig"}


class KeySet(Mapping[str, VerificationKey]):
    """The keys of a JSON Web Key Set by key id."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = {key.id: key for key in keys}

    def __getitem__(self, key_id: str) -> VerificationKey:
        return self._keys[key_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Parse a key set. Raises ValueError with one sentence.

        Keys of kinds that are not used here are passed over (RFC 7517, section 5); a key whose
        `kid` is not its thumbprint is refused, so that no two keys can claim one id.
        """
        try:
            document = read_json(text)
            members = document["keys"]
            keys = [key for member in members if (key := _parse(member)) is not None]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"is no JSON Web Key Set: {type(error).__name__}") from None
        if not keys:
            raise ValueError("holds no Ed25519 or P-256 key with its thumbprint as kid")
        return cls(keys)

    def as_json(self) -> bytes:
        """The document, with the newest key last."""
        return json.dumps({"keys": [key.as_jwk() for key in self.values()]}, indent=1).encode()


def thumbprint(members: Mapping[str, str]) -> str:
    """The SHA-256 thumbprint of a key's required members (RFC 7638, section 3)."""
    canonical = json.dumps(dict(members), sort_keys=True, separators=(",", ":"))
    return _encode(hashlib.sha256(canonical.encode()).digest())


def generate() -> Ed25519PrivateKey:
    """A new signing key."""
    return Ed25519PrivateKey.generate()


def to_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS 8."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_private(path: Path) -> PrivateKey:
    """Read a private key file. Raises ConfigurationError."""
    setting = "identity.signing_key_file"
    wanted = f"{setting}: {path} must hold an unencrypted Ed25519 or P-256 private key in PEM"
    try:
        key = serialization.load_pem_private_key(read_secret(path, setting), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(wanted) from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ConfigurationError(wanted)


def _members(key: PublicKey) -> dict[str, str]:
    if isinstance(key, Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_bytes_raw())}
    numbers = key.public_numbers()
    x, y = (number.to_bytes(_COORDINATE_BYTES, "big") for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": _encode(x), "y": _encode(y)}


def _parse(member: Mapping[str, Any]) -> VerificationKey | None:
    kind = (member.get("kty"), member.get("crv"))
    public: PublicKey
    if kind == ("OKP", "Ed25519"):
        public = Ed25519PublicKey.from_public_bytes(_decode(member["x"]))
    elif kind == ("EC", "P-256"):
        x, y = (int.from_bytes(_decode(member[name]), "big") for name in ("x", "y"))
        public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    else:
        return None
    key = VerificationKey.of(public)
    fits = (
        member.get("kid") == key.id
        and member.get("alg", key.algorithm) == key.algorithm
        and member.get("use", "sig") == "sig"
    )
    return key if fits else None


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
