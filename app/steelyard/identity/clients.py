"""A station's client credentials (RFC 6749, section 2.3.1)."""

import hashlib
import hmac
import secrets

from steelyard.store.identifiers import new_id

_PREFIX = "steelyard_cs_"
_NOBODY = bytes(32)


def new_client_id() -> str:
    """A client id that no station ever had."""
    return f"station-{new_id().lower()}"


def new_client_secret() -> tuple[str, bytes]:
    """A secret of 256 random bits to be shown once, and the digest to be stored.

    SHA-256 and no slow hash: nobody can guess 256 bits, so slowness would cost the platform, at
    each token of each station, and an attacker nothing.
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, digest(secret)


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def secret_matches(stored: bytes | None, secret: str) -> bool:
    """Compare in constant time; None (no such station, or none set) never matches."""
    equal = hmac.compare_digest(stored or _NOBODY, digest(secret))
    return equal and stored is not None
