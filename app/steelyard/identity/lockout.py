"""Against guessing: an exponential lock for each account, a token bucket for each address."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.errors import TooManyAttempts
from steelyard.identity.settings import IdentitySettings
from steelyard.store.models import User

_MAX_DOUBLINGS = 30
_NOBODY = ""  # an id that no row has


def is_locked(user: User, now_ms: int) -> bool:
    """Whether the account takes no log-in now, not even the right one."""
    return user.locked_until is not None and now_ms < user.locked_until


async def count_failure(
    session: AsyncSession, user: User | None, settings: IdentitySettings, now_ms: int
) -> None:
    """Count a failed log-in, and lock the account when there were too many.

    The user's row must be locked by the session. A failure at a locked account does not prolong
    the lock. Where there is no such user, a statement of the same form changes nothing: what an
    attempt costs must not tell whether the account exists.
    """
    if user is None or is_locked(user, now_ms):
        await _set(session, _NOBODY, {"failed_logins": 0, "locked_until": None})
        return
    failures = user.failed_logins + 1
    locked_until = None
    if failures >= settings.lockout_threshold:
        doublings = min(failures - settings.lockout_threshold, _MAX_DOUBLINGS)
        seconds = min(settings.lockout_base_seconds * 2**doublings, settings.lockout_max_seconds)
        locked_until = now_ms + seconds * 1000
    await _set(session, user.id, {"failed_logins": failures, "locked_until": locked_until})


async def clear_attempts(
    session: AsyncSession, user: User, now_ms: int, *, new_hash: str | None = None
) -> None:
    """Forget the failures of an account whose user has logged in; store the hash if it is new."""
    values: dict[str, int | str | None] = {
        "failed_logins": 0,
        "locked_until": None,
        "last_login_at": now_ms,
    }
    if new_hash is not None:
        values["password_hash"] = new_hash
    await _set(session, user.id, values)


async def _set(session: AsyncSession, user_id: str, values: Mapping[str, int | str | None]) -> None:
    # Not through the mapper: a log-in is no change of the entity, its version (ETag) stays.
    await session.execute(
        update(User)
        .where(User.id == user_id)
        .values(**values, updated_at=User.updated_at)
        .execution_options(synchronize_session=False)
    )


class AddressLimiter:
    """Failed log-ins by address, in the memory of one process and of bounded size.

    Each address has a bucket of `capacity` attempts and regains one each `refill_seconds`. An
    IPv6 host owns a /64, so that is what is counted. The address that failed longest ago is
    forgotten first when the table is full.
    """

    def __init__(
        self,
        capacity: int,
        refill_seconds: float,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._refill = refill_seconds
        self._size = size
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @classmethod
    def from_settings(cls, settings: IdentitySettings) -> "AddressLimiter":
        """A limiter as the settings have it."""
        return cls(
            settings.address_failures, settings.address_refill_seconds, settings.address_table_size
        )

    def __len__(self) -> int:
        return len(self._spent)

    def take(self, address: str) -> None:
        """Count an attempt as failed in advance. Raises TooManyAttempts when none is left."""
        key = _group(address)
        spent = self._current(key)
        if spent + 1 > self._capacity:
            raise TooManyAttempts(math.ceil((spent + 1 - self._capacity) * self._refill))
        self._store(key, spent + 1)

    def give_back(self, address: str) -> None:
        """The attempt succeeded: it does not count."""
        key = _group(address)
        self._store(key, self._current(key) - 1)

    def _current(self, key: str) -> float:
        spent, at = self._spent.get(key, (0.0, 0.0))
        return max(0.0, spent - (self._clock() - at) / self._refill) if spent else 0.0

    def _store(self, key: str, spent: float) -> None:
        self._spent.pop(key, None)
        if spent > 0:
            self._spent[key] = (spent, self._clock())
        while len(self._spent) > self._size:
            self._spent.popitem(last=False)


def _group(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
