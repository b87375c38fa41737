"""Identifiers and times that the store's rows carry."""

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_LENGTH = 26


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


def new_id(at_ms: int | None = None) -> str:
    """A ULID: 48 bits of time and 80 of chance, so that identifiers sort by their birth."""
    moment = now_ms() if at_ms is None else at_ms
    number = (moment & (2**48 - 1)) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in range(_LENGTH - 1, -1, -1))
