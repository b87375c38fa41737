"""Guessing: an account locks for longer and longer, an address runs out of attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databases import FakeClock, a_user
from steelyard.identity.errors import TooManyAttempts
from steelyard.identity.lockout import AddressLimiter, clear_attempts, count_failure, is_locked
from steelyard.identity.settings import IdentitySettings
from steelyard.store.models import User

SETTINGS = IdentitySettings(lockout_threshold=3, lockout_base_seconds=10, lockout_max_seconds=60)


async def _attempt(database, user_id, now) -> bool:
    async with database.session() as session:
        user = await session.get_one(User, user_id, with_for_update=True)
        await count_failure(session, user, SETTINGS, now)
        return not is_locked(user, now)


async def _row(database, user_id) -> User:
    async with database.session(read_only=True) as session:
        return await session.get_one(User, user_id)


@pytest.fixture
async def user(database):
    """A stored user."""
    made = a_user(None)
    async with database.session() as session:
        session.add(made)
    return made


async def test_an_account_locks_longer_and_longer(database, user):
    """10 s at the third failure, then 20, 40, and 60 for ever after."""
    clock = FakeClock()
    for _ in range(2):
        assert await _attempt(database, user.id, clock())
    for seconds in (10, 20, 40, 60, 60):
        assert await _attempt(database, user.id, clock())
        clock.advance(seconds - 0.001)
        assert not await _attempt(database, user.id, clock())
        clock.advance(0.001)


async def test_attempts_while_locked_change_nothing(database, user):
    """Nobody can keep an account locked by going on to try."""
    clock = FakeClock()
    for _ in range(3):
        await _attempt(database, user.id, clock())
    before = (await _row(database, user.id)).locked_until
    for _ in range(20):
        assert not await _attempt(database, user.id, clock())
    row = await _row(database, user.id)
    assert (row.locked_until, row.failed_logins) == (before, 3)


async def test_very_many_failures_are_counted_still(database, user):
    """The doubling ends; the number does not overflow."""
    clock = FakeClock()
    async with database.session() as session:
        (await session.get_one(User, user.id)).failed_logins = 10**6
    assert await _attempt(database, user.id, clock())
    assert (await _row(database, user.id)).locked_until == clock() + 60_000


async def test_a_success_forgets_the_failures(database, user):
    """The count starts again, and neither version nor change time of the user moves."""
    clock = FakeClock()
    before = await _row(database, user.id)
    for _ in range(2):
        await _attempt(database, user.id, clock())
    async with database.session() as session:
        row = await session.get_one(User, user.id)
        await clear_attempts(session, row, clock(), new_hash="new")
    row = await _row(database, user.id)
    assert (row.failed_logins, row.locked_until, row.last_login_at) == (0, None, clock())
    assert (row.version, row.updated_at) == (before.version, before.updated_at)
    assert row.password_hash == "new"


def _limiter(clock, capacity=3, refill=10.0, size=100) -> AddressLimiter:
    return AddressLimiter(capacity, refill, size, clock=lambda: clock.now / 1000)


def test_an_address_runs_out_and_regains_one_by_one():
    """Three at once, then one each ten seconds; the wait is told."""
    clock = FakeClock()
    limiter = _limiter(clock)
    for _ in range(3):
        limiter.take("192.0.2.1")
    with pytest.raises(TooManyAttempts) as caught:
        limiter.take("192.0.2.1")
    assert caught.value.headers["Retry-After"] == "10"
    assert caught.value.status == 429
    limiter.take("192.0.2.2")
    clock.advance(9)
    with pytest.raises(TooManyAttempts):
        limiter.take("192.0.2.1")
    clock.advance(1)
    limiter.take("192.0.2.1")


def test_a_success_gives_the_attempt_back():
    """Who logs in correctly a thousand times is never limited, and not remembered."""
    limiter = _limiter(FakeClock())
    for _ in range(1000):
        limiter.take("192.0.2.1")
        limiter.give_back("192.0.2.1")
    assert len(limiter) == 0


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
        ("unix", "other", False),
    ],
)
def test_addresses_of_one_host_count_together(one, other, together):
    """An IPv6 host has a whole /64; an IPv4 address is the same in both forms."""
    limiter = _limiter(FakeClock(), capacity=1)
    limiter.take(one)
    if together:
        with pytest.raises(TooManyAttempts):
            limiter.take(other)
    else:
        limiter.take(other)


def test_the_table_is_bounded():
    """A million addresses take no more room than allowed; the oldest are forgotten first."""
    clock = FakeClock()
    limiter = _limiter(clock, capacity=1, size=100)
    for number in range(1000):
        limiter.take(f"10.0.{number // 250}.{number % 250}")
        clock.advance(0.001)
    assert len(limiter) == 100
    with pytest.raises(TooManyAttempts):
        limiter.take("10.0.3.249")
    limiter.take("10.0.0.0")


@given(st.lists(st.integers(0, 30), max_size=60))
def test_no_more_than_the_bucket_ever_passes(waits):
    """Whatever the rhythm: in any time at most its capacity and what flowed in."""
    clock = FakeClock()
    limiter = _limiter(clock)
    passed = 0
    for wait in waits:
        clock.advance(wait)
        try:
            limiter.take("192.0.2.1")
        except TooManyAttempts:
            continue
        passed += 1
    assert passed <= 3 + sum(waits) / 10
