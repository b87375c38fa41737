"""Stateless cookies for the HelloVerifyRequest (RFC 6347, section 4.2.1)."""

import hmac
import secrets
import time
from collections.abc import Callable

COOKIE_LENGTH = 16


class CookieJar:
    """Makes and verifies cookies; its secret rotates, and the one before it still counts.

    A cookie is good for at least `lifetime` seconds and at most twice that.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._current = self._previous = secrets.token_bytes(32)
        self._made = clock()

    def make(self, address: bytes) -> bytes:
        """The cookie that an address has to send back."""
        self._rotate()
        return _cookie(self._current, address)

    def verify(self, address: bytes, cookie: bytes) -> bool:
        """Whether this jar made the cookie for the address, lately."""
        self._rotate()
        return any(
            hmac.compare_digest(_cookie(secret, address), cookie)
            for secret in (self._current, self._previous)
        )

    def _rotate(self) -> None:
        age = self._clock() - self._made
        if age < self._lifetime:
            return
        # After a quiet time the current secret is as old as the previous one may get.
        self._previous = self._current if age < 2 * self._lifetime else secrets.token_bytes(32)
        self._current = secrets.token_bytes(32)
        self._made = self._clock()


def _cookie(secret: bytes, address: bytes) -> bytes:
    return hmac.digest(secret, address, "sha256")[:COOKIE_LENGTH]
