"""Passwords: Argon2id hashes (RFC 9106) and the rules of NIST SP 800-63B."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from steelyard.errors import FieldError, Problem
from steelyard.identity.common_passwords import is_common
from steelyard.identity.errors import WeakPassword
from steelyard.identity.settings import IdentitySettings

MAX_CHARACTERS = 128
MAX_BYTES = 512

P = ParamSpec("P")
R = TypeVar("R")


class HashingOverloaded(Problem):
    """More passwords wait to be checked than the queue holds."""

    status = 503
    slug = "hashing-overloaded"
    title = "Too many log-ins at once"
    hint = "Send the request again after a moment."


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a password matches; `new_hash` is set when the stored one has old parameters."""

    matches: bool
    new_hash: str | None = field(default=None, repr=False)


class PasswordHasher:
    """Hashes and verifies in threads, a few at a time: each one takes tens of MiB and of ms."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=settings.argon2_iterations,
            memory_cost=max(settings.argon2_memory_kib, 8 * settings.argon2_lanes),
            parallelism=settings.argon2_lanes,
            type=argon2.Type.ID,
        )
        self._threads = ThreadPoolExecutor(
            settings.hashing_concurrency, thread_name_prefix="password"
        )
        self._room = settings.hashing_concurrency + settings.hashing_queue
        self._waiting = 0
        # An unknown user costs the same verification as a known one; the service sees to the rest.
        self._dummy = self._hasher.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """The hash to store. The rules are not checked here (`check_password`)."""
        return await self._run(self._hash, password)

    async def verify(self, stored: str | None, password: str) -> Verification:
        """Compare with a stored hash; none (no such user) takes as long and never matches."""
        return await self._run(self._verify, stored, password)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        if self._waiting >= self._room:
            raise HashingOverloaded("too many log-ins are waiting")
        self._waiting += 1
        # The count falls when the thread is done, not when a caller gives up waiting for it.
        future = self._threads.submit(function, *arguments, **named)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._waiting -= 1

    def _hash(self, password: str) -> str:
        return self._hasher.hash(normalise(password))

    def _verify(self, stored: str | None, password: str) -> Verification:
        try:
            self._hasher.verify(stored or self._dummy, normalise(password))
        except (VerificationError, InvalidHashError):
            return Verification(matches=False)
        if not stored:
            return Verification(matches=False)
        if self._hasher.check_needs_rehash(stored):
            return Verification(matches=True, new_hash=self._hash(password))
        return Verification(matches=True)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(callback)


def normalise(password: str) -> bytes:
    """The bytes that are hashed: NFKC (SP 800-63B, section 5.1.1.2), then UTF-8."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def check_password(password: str, *, login: str, min_length: int = 12) -> None:
    """Raise WeakPassword with the rule that a new password breaks; any characters are allowed."""
    problem = _weakness(unicodedata.normalize("NFKC", password), login, min_length)
    if problem:
        raise WeakPassword("the password is not allowed", errors=[FieldError("password", problem)])


def _weakness(password: str, login: str, min_length: int) -> str | None:
    if len(password) < min_length:
        return f"must have at least {min_length} characters"
    if len(password) > MAX_CHARACTERS or len(normalise(password)) > MAX_BYTES:
        return f"must have at most {MAX_CHARACTERS} characters and {MAX_BYTES} bytes of UTF-8"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        return "must not hold control characters"
    folded = password.casefold()
    names = {login.casefold(), login.casefold().partition("@")[0]}
    if any(len(name) >= 3 and name in folded for name in names):
        return "must not contain the log-in"
    if is_common(folded):
        return "must not be one of the passwords that are tried first"
    return None
