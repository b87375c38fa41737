"""Claim codes: how a device that nobody knows yet shows that an administrator sent it.

A code is 24 characters of Crockford's base 32, in groups of four. The first eight are its locator,
which travels in the clear; the other sixteen (80 bits) are secret and never travel. The device
proves with an HMAC over its certificate request that it has the code, and the platform seals its
answer under the same key. So neither a relay nor who listens on the way learns anything of use, or
can put a request or an authority of its own in their place.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from steelyard.errors import ConfigurationError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOCATOR_LENGTH = 8
SECRET_LENGTH = 16
GROUP = 4
LOCATOR_PATTERN = rf"^[{ALPHABET}]{{{LOCATOR_LENGTH}}}$"
CODE_RULE = "24 letters and digits in groups of four, as the platform showed them"

_LENGTH = LOCATOR_LENGTH + SECRET_LENGTH
# What people write for what was shown (Crockford).
_READ_AS = str.maketrans("ILO", "110")
_KEY_LABEL = b"steelyard claim key v1\0"
_REQUEST_LABEL = b"steelyard claim request v1\0"
_ANSWER_LABEL = b"steelyard claim answer v1\0"


@dataclass(frozen=True, slots=True)
class ClaimCode:
    """A code, taken apart."""

    locator: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> "ClaimCode":
        """A code that nobody had before."""
        drawn = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))
        return cls(drawn[:LOCATOR_LENGTH], drawn[LOCATOR_LENGTH:])

    @classmethod
    def parse(cls, text: str) -> "ClaimCode | None":
        """The code that somebody typed; None where it cannot be one.

        Case, blanks and dashes do not matter; I and L are read as 1, O as 0.
        """
        if len(text) > 4 * _LENGTH:
            return None
        plain = "".join(text.replace("-", "").split()).upper().translate(_READ_AS)
        if len(plain) != _LENGTH or not set(plain) <= set(ALPHABET):
            return None
        return cls(plain[:LOCATOR_LENGTH], plain[LOCATOR_LENGTH:])

    def shown(self) -> str:
        """The code as it is shown, once."""
        whole = self.locator + self.secret
        return "-".join(whole[start : start + GROUP] for start in range(0, _LENGTH, GROUP))

    def key(self) -> bytes:
        """What both sides prove with; the platform keeps this digest and not the code."""
        return hashlib.sha256(_KEY_LABEL + (self.locator + self.secret).encode()).digest()


def parse_code(text: str) -> ClaimCode:
    """A claim code as somebody typed it. Raises ConfigurationError."""
    code = ClaimCode.parse(text)
    if code is None:
        raise ConfigurationError(f"the claim code must be {CODE_RULE}")
    return code


def prove(key: bytes, request: bytes) -> bytes:
    """The proof of a certificate request (DER)."""
    return _mac(key, _REQUEST_LABEL, (request,))


def is_proved(key: bytes, request: bytes, proof: bytes) -> bool:
    """Whether the sender of a request has the code."""
    return hmac.compare_digest(prove(key, request), proof)


def seal(key: bytes, parts: Iterable[bytes]) -> bytes:
    """The seal of an answer, whose parts have an order."""
    return _mac(key, _ANSWER_LABEL, parts)


def is_sealed(key: bytes, parts: Iterable[bytes], given: bytes) -> bool:
    """Whether an answer comes from whoever made the code."""
    return hmac.compare_digest(seal(key, parts), given)


def _mac(key: bytes, label: bytes, parts: Iterable[bytes]) -> bytes:
    message = hmac.new(key, label, hashlib.sha256)
    for part in parts:
        message.update(len(part).to_bytes(8, "big") + part)
    return message.digest()
