"""Refresh-token families: rotated at each use, revoked by a reuse, patient with lost responses."""

import asyncio

import pytest
from sqlalchemy import func, select, text

from databases import FakeClock, a_customer, a_station, a_user
from steelyard.identity import refresh
from steelyard.identity.refresh import Outcome, RefreshPolicy
from steelyard.store.models import RefreshToken, RevokedToken, TokenFamily

POLICY = RefreshPolicy(idle=3_600_000, absolute=86_400_000, grace=10_000)


class Families:
    """The functions, each in a unit of work of its own."""

    def __init__(self, database, clock):
        self.database = database
        self.clock = clock

    async def open(self, owner) -> str:
        async with self.database.session() as session:
            return (await refresh.open_family(session, POLICY, owner, self.clock()))[1]

    async def exchange(self, token) -> refresh.Exchange:
        async with self.database.session() as session:
            return await refresh.exchange(session, POLICY, token, self.clock())

    async def renew(self, token) -> str:
        found = await self.exchange(token)
        assert found.outcome is Outcome.RENEWED
        return found.token

    async def outcome(self, token) -> Outcome:
        return (await self.exchange(token)).outcome

    async def rows(self, model) -> int:
        async with self.database.session(read_only=True) as session:
            return await session.scalar(select(func.count()).select_from(model))


@pytest.fixture
def clock():
    """Time that stands still."""
    return FakeClock()


@pytest.fixture
def families(database, clock):
    """The families of the database under test."""
    return Families(database, clock)


@pytest.fixture
async def user(database):
    """A stored user."""
    made = a_user(None)
    async with database.session() as session:
        session.add(made)
    return made


async def test_each_use_gives_another_token(families, user, clock):
    """A chain of renewals goes on as long as the newest is used."""
    tokens = [await families.open(user)]
    for _ in range(5):
        clock.advance(600)
        tokens.append(await families.renew(tokens[-1]))
    assert len(set(tokens)) == 6


async def test_an_invented_token_is_refused(families, user):
    """Nothing is revoked for it: there is no family that it names."""
    token = await families.open(user)
    for invented in ("", token[:-1], token + "x", "steelyard_rt_x", "\ud800", "\0"):
        assert await families.exchange(invented) == refresh.Exchange(Outcome.REFUSED)
    await families.renew(token)


async def test_a_reuse_revokes_the_whole_family(families, user, clock):
    """The thief's and the owner's newest are worth nothing after it; other log-ins stay."""
    other = await families.open(user)
    first = await families.open(user)
    second = await families.renew(first)
    clock.advance(11)
    assert await families.outcome(first) is Outcome.REUSED
    assert await families.outcome(second) is Outcome.REFUSED
    assert await families.outcome(first) is Outcome.REFUSED
    await families.renew(other)


async def test_an_older_token_is_a_reuse_at_any_time(families, user):
    """The grace is for the immediate predecessor only."""
    first = await families.open(user)
    await families.renew(await families.renew(first))
    assert await families.outcome(first) is Outcome.REUSED


async def test_a_lost_response_is_forgiven(families, user, clock):
    """The same token again, within the grace: a fresh successor that goes on."""
    first = await families.open(user)
    await families.renew(first)
    clock.advance(10)
    again = await families.renew(first)
    clock.advance(600)
    await families.renew(again)


async def test_of_two_successors_the_first_used_wins(families, user, clock):
    """The one whose response was thought lost may be used as well, but never both."""
    first = await families.open(user)
    lost, again = await families.renew(first), await families.renew(first)
    clock.advance(600)
    await families.renew(lost)
    assert await families.outcome(again) is Outcome.REUSED


async def test_a_sibling_is_no_predecessor(families, user):
    """A thief who got a sibling in the grace is found at once when the owner went on."""
    first = await families.open(user)
    owners, thiefs = await families.renew(first), await families.renew(first)
    await families.renew(owners)
    assert await families.outcome(thiefs) is Outcome.REUSED


async def test_the_grace_makes_no_endless_supply(families, user):
    """Five successors of one token, no more; the family stays."""
    first = await families.open(user)
    tokens = [await families.renew(first) for _ in range(5)]
    assert await families.outcome(first) is Outcome.REFUSED
    await families.renew(tokens[2])


async def test_an_unused_token_dies(families, user, clock):
    """After its idle life it is refused, which is no sign of theft."""
    token = await families.open(user)
    clock.advance(3599.999)
    token = await families.renew(token)
    clock.advance(3600)
    assert await families.outcome(token) is Outcome.REFUSED


async def test_a_log_in_dies_however_often_it_is_renewed(families, user, clock):
    """The absolute life ends it, and no token outlives it."""
    token = await families.open(user)
    for _ in range(47):
        clock.advance(1800)
        token = await families.renew(token)
    clock.advance(1800)
    assert await families.outcome(token) is Outcome.REFUSED


async def test_a_logout_ends_the_family(families, database, user, clock):
    """Any of its tokens revokes it; again, or with an unknown token, nothing happens."""
    first = await families.open(user)
    second = await families.renew(first)
    async with database.session() as session:
        assert await refresh.revoke_family(session, "unknown", clock()) is None
        assert await refresh.revoke_family(session, first, clock()) is not None
        assert await refresh.revoke_family(session, first, clock()) is None
    assert await families.outcome(second) is Outcome.REFUSED


async def test_all_families_of_one_owner_end_together(families, database, user, clock):
    """And nobody else's."""
    customer = a_customer()
    station, other = a_station(customer), a_user(customer, "bob@example.org")
    async with database.session() as session:
        session.add(customer)
        await session.flush()
        session.add_all([station, other])
    owners = [user, user, station, other]
    tokens = [await families.open(owner) for owner in owners]
    async with database.session() as session:
        await refresh.revoke_families(session, user, "password-changed", clock())
        await refresh.revoke_families(session, station, "deleted", clock())
    found = [await families.outcome(token) for token in tokens]
    assert found == [Outcome.REFUSED] * 3 + [Outcome.RENEWED]


async def test_no_token_is_in_the_database(families, database, user, store_settings):
    """Who reads the tables can use nothing of what is in them."""
    token = await families.open(user)
    async with database.session(read_only=True) as session:
        rows = (await session.execute(text("SELECT * FROM refresh_tokens"))).all()
        families_ = (await session.execute(text("SELECT * FROM token_families"))).all()
    secret = token.removeprefix("steelyard_rt_")
    assert secret not in f"{rows}{families_}"
    assert bytes(rows[0][0]) == refresh.digest(token)


async def test_what_has_expired_is_cleared_away(families, database, user, clock):
    """Living families stay, with all their tokens."""
    await families.renew(await families.open(user))
    clock.advance(80_000)
    await families.renew(await families.open(user))
    async with database.session() as session:
        session.add(RevokedToken(token_id="J1", expires_at=clock() + 1))
        session.add(RevokedToken(token_id="J2", expires_at=clock() + 86_400_000))
    clock.advance(10_000)
    async with database.session() as session:
        assert await refresh.purge(session, clock()) == 2
    assert (await families.rows(TokenFamily), await families.rows(RefreshToken)) == (1, 2)
    assert await families.rows(RevokedToken) == 1


async def test_two_exchanges_at_once_lose_no_family(families, user, clock):
    """Both clients get a token, the family lives, and the first token used goes on."""
    for _ in range(5):
        token = await families.open(user)
        for _ in range(3):
            both = await asyncio.gather(families.exchange(token), families.exchange(token))
            assert [one.outcome for one in both] == [Outcome.RENEWED] * 2
            assert both[0].token != both[1].token
            clock.advance(600)
            token = await families.renew(both[1].token)


async def test_a_burst_of_exchanges_advances_one_generation(families, database, user):
    """Ten at once are one rotation and four repeats of it; the rest is refused, none is a reuse."""
    token = await families.open(user)
    found = await asyncio.gather(*(families.exchange(token) for _ in range(10)))
    outcomes = [one.outcome for one in found]
    assert outcomes.count(Outcome.RENEWED) == 5
    assert outcomes.count(Outcome.REFUSED) == 5
    async with database.session(read_only=True) as session:
        family = await session.get_one(TokenFamily, found[0].family.id)
    assert (family.generation, family.revoked_at) == (2, None)
