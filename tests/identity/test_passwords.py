"""Passwords: hashed slowly, verified in bounded numbers, and not the ones that are tried first."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.identity.common_passwords import is_common
from steelyard.identity.errors import WeakPassword
from steelyard.identity.passwords import (
    HashingOverloaded,
    PasswordHasher,
    check_password,
    normalise,
)
from steelyard.identity.settings import IdentitySettings

CHEAP = {"argon2_memory_kib": 8, "argon2_iterations": 1, "argon2_lanes": 1}
GOOD = "seven purple herons"


@pytest.fixture
def hasher():
    """A hasher with cheap parameters."""
    made = PasswordHasher(IdentitySettings(**CHEAP))
    yield made
    made.close()


async def test_a_hash_is_valid_and_can_be_verified(hasher):
    """The right password matches, a wrong one and one of another case do not."""
    stored = await hasher.hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert (await hasher.verify(stored, GOOD)).matches
    for wrong in ("", GOOD.upper(), GOOD + " ", GOOD[:-1]):
        assert not (await hasher.verify(stored, wrong)).matches


async def test_hashes_are_salted(hasher):
    """Equal passwords do not show that they are equal."""
    assert await hasher.hash(GOOD) != await hasher.hash(GOOD)


def test_the_defaults_are_those_of_the_standard():
    """RFC 9106, section 4, second recommended option: 64 MiB, 3 passes, 4 lanes."""
    defaults = IdentitySettings()
    found = (defaults.argon2_memory_kib, defaults.argon2_iterations, defaults.argon2_lanes)
    assert found == (65_536, 3, 4)


async def test_other_ways_to_write_the_same_password_match(hasher):
    """A composed and a decomposed letter are one (SP 800-63B: NFKC)."""
    stored = await hasher.hash("caf\u00e9 au lait noir")
    assert (await hasher.verify(stored, "cafe\u0301 au lait noir")).matches


async def test_old_parameters_are_replaced_at_the_next_log_in(hasher):
    """The verification brings a new hash, which itself needs none."""
    stored = await hasher.hash(GOOD)
    stronger = PasswordHasher(IdentitySettings(**CHEAP | {"argon2_iterations": 2}))
    found = await stronger.verify(stored, GOOD)
    assert found.matches
    assert ",t=2," in found.new_hash
    assert await stronger.verify(found.new_hash, GOOD) == type(found)(matches=True)
    assert (await stronger.verify(stored, "wrong")).new_hash is None
    assert found.new_hash not in repr(found)
    stronger.close()


@pytest.mark.parametrize("stored", [None, "", "none", "$argon2id$v=19$broken", "$2b$12$abc"])
async def test_what_is_no_hash_never_matches(hasher, stored):
    """Neither an unknown user nor a damaged row lets anybody in, not even the dummy's password."""
    hasher._dummy = hasher._hasher.hash(GOOD)
    for password in (GOOD, "", "wrong"):
        assert not (await hasher.verify(stored, password)).matches


async def test_an_unknown_user_costs_a_verification(hasher, monkeypatch):
    """The same work is done, with the same parameters, so that time tells nothing."""
    seen = []
    real = hasher._hasher

    class Spy:
        def verify(self, stored, password):
            seen.append(stored.rsplit("$", 2)[0])
            return real.verify(stored, password)

        def __getattr__(self, name):
            return getattr(real, name)

    stored = await hasher.hash(GOOD)
    monkeypatch.setattr(hasher, "_hasher", Spy())
    await hasher.verify(stored, "wrong")
    await hasher.verify(None, "wrong")
    assert len(seen) == 2
    assert seen[0] == seen[1]


async def test_only_so_many_hashes_run_at_once_and_only_so_many_wait(monkeypatch):
    """Two threads at most, three waiting at most; the rest is told to come again."""
    hasher = PasswordHasher(IdentitySettings(**CHEAP, hashing_concurrency=2, hashing_queue=3))
    release, running, most = threading.Event(), 0, 0
    lock = threading.Lock()

    def slow(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(30)
        with lock:
            running -= 1
        return "hash"

    monkeypatch.setattr(hasher, "_hash", slow)
    tasks = [asyncio.create_task(hasher.hash(GOOD)) for _ in range(9)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    release.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results.count("hash") == 5
    assert sum(isinstance(one, HashingOverloaded) for one in results) == 4
    assert most <= 2
    assert await hasher.hash(GOOD) == "hash"
    hasher.close()


async def test_the_loop_goes_on_while_a_password_is_hashed(hasher, monkeypatch):
    """A hash runs in a thread: other requests are served meanwhile."""
    release = threading.Event()
    monkeypatch.setattr(hasher, "_hash", lambda _: release.wait(30))
    task = asyncio.create_task(hasher.hash(GOOD))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    release.set()
    assert await task


async def test_who_gives_up_waiting_frees_a_place(monkeypatch):
    """Cancelled requests do not fill the queue for ever."""
    hasher = PasswordHasher(IdentitySettings(**CHEAP, hashing_concurrency=1, hashing_queue=1))
    release = threading.Event()
    monkeypatch.setattr(hasher, "_hash", lambda _: release.wait(30))
    tasks = [asyncio.create_task(hasher.hash(GOOD)) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    await asyncio.sleep(0)
    third = asyncio.create_task(hasher.hash(GOOD))
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(tasks[0], third) == [True, True]
    hasher.close()


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("short pass1", "at least 12 characters"),
        ("", "at least 12 characters"),
        ("ab" + "x1y2z3" * 22, "at most 128 characters"),
        ("\ufdfa" * 12, "at most 128 characters"),
        ("with\x00 a control", "control characters"),
        ("with\ud800 a surrogate", "control characters"),
        ("my ANN.lee is long", "must not contain the log-in"),
        ("ann.lee@example.org", "must not contain the log-in"),
        ("passwordpassword", "tried first"),
        ("Password123!", "tried first"),
        ("P4ssw0rd2024!", "tried first"),
        ("123456789012", "tried first"),
        ("qwertyuiopas", "tried first"),
        ("aaaaaaaaaaaaaaaa", "tried first"),
        ("abcabcabcabcabc", "tried first"),
        ("correct horse battery staple", "tried first"),
        ("WeighBridge-01", "tried first"),
        ("Welcome-2024-11", "tried first"),
    ],
)
def test_weak_passwords_are_refused(password, rule):
    """The rule is named; the password is not repeated."""
    with pytest.raises(WeakPassword) as caught:
        check_password(password, login="Ann.Lee@example.org")
    (error,) = caught.value.errors
    assert error.field == "password"
    assert rule in error.message
    assert not password or password not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "x" * 6 + "yq7rtbeq",
        "ünïcödé herring",
        "鶏が庭で三羽ないている朝です",
        "4f9c2e71b8d05a36",
        "abcdefghijkl" * 2 + "?z",
        "q" + "w7" * 60,
        "truck 83917492183749",
    ],
)
def test_other_passwords_are_allowed(password):
    """Any characters, blanks and scripts; no rule of composition."""
    check_password(password, login="ann@example.org")


def test_a_short_log_in_forbids_nothing():
    """Two letters are in too many passwords."""
    check_password(GOOD, login="en")


@given(st.text(max_size=130))
def test_every_text_is_judged_or_hashed_without_an_error(text):
    """No input of any form breaks the rules themselves."""
    is_common(text.casefold())
    assert isinstance(normalise(text), bytes)
