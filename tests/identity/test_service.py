"""The grants: who gets tokens, who does not, and what a failure leaves behind."""

import asyncio
from types import SimpleNamespace

import pytest
from sqlalchemy import event, select

from databases import FakeClock, a_customer, a_node, a_user, an_active_station
from steelyard.identity import keys
from steelyard.identity.active import principal_active
from steelyard.identity.clients import new_client_secret
from steelyard.identity.errors import (
    InvalidClient,
    InvalidGrant,
    OAuthProblem,
    TooManyAttempts,
    WeakPassword,
)
from steelyard.identity.keys import KeySet
from steelyard.identity.passwords import PasswordHasher
from steelyard.identity.service import IdentityService, Origin
from steelyard.identity.sessions import end_sessions
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TokenIssuer, TokenVerifier
from steelyard.store.audit import AuditRecord, verify_chain
from steelyard.store.models import Role, Station, Status, TokenFamily, User, delete_softly

PASSWORD = "seven purple herons"
HERE = Origin("192.0.2.7", "request-1")
NAMES = {"issuer": "https://issuer.example", "audience": "steelyard"}
SETTINGS = IdentitySettings(
    argon2_memory_kib=8,
    argon2_iterations=1,
    argon2_lanes=1,
    lockout_threshold=3,
    address_failures=20,
    **NAMES,
)


class OneKey:
    """A key source with the issuer's own key."""

    def __init__(self, issuer):
        self._set = KeySet([issuer.verification_key])

    async def keys(self, wanted):
        return self._set


@pytest.fixture
async def world(database):
    """A service over a customer with a user and an active station."""
    clock = FakeClock()
    issuer = TokenIssuer(keys.generate(), **NAMES)
    verifier = TokenVerifier(OneKey(issuer), **NAMES)
    passwords = PasswordHasher(SETTINGS)
    service = IdentityService(database, SETTINGS, issuer, verifier, passwords, clock=clock)
    customer = a_customer()
    node = a_node(customer)
    user = a_user(customer, "Ann@Example.org", password_hash=await passwords.hash(PASSWORD))
    secret, stored = new_client_secret()
    station = an_active_station(customer, node, client_secret_hash=stored)
    async with database.session() as session:
        for row in (customer, node, user, station):
            session.add(row)
            await session.flush()
    yield SimpleNamespace(
        clock=clock,
        customer=customer,
        database=database,
        secret=secret,
        service=service,
        station=station,
        user=user,
        verifier=verifier,
    )
    service.close()


async def _active(world, token) -> bool:
    principal = await world.verifier.verify(token)
    async with world.database.session(read_only=True) as session:
        return await principal_active(session, principal)


async def _lines(world, action) -> list[tuple[str, str | None]]:
    async with world.database.session(read_only=True) as session:
        await verify_chain(session)
        found = select(AuditRecord).where(AuditRecord.action == action).order_by(AuditRecord.seq)
        return [(line.outcome, line.actor_id) for line in await session.scalars(found)]


async def _change(world, row, change):
    async with world.database.session() as session:
        found = await session.get_one(type(row), row.id)
        done = change(found)
        if done is not None:
            await done


async def test_a_user_logs_in(world):
    """The token says who it is, the refresh token works, the audit log has the log-in."""
    grant = await world.service.password_grant("ann@EXAMPLE.org", PASSWORD, HERE)
    principal = await world.verifier.verify(grant.access_token)
    assert (principal.id, principal.role) == (world.user.id, Role.CUSTOMER_USER)
    assert principal.customer_id == world.customer.id
    assert grant.as_json()["expires_in"] == 600
    assert grant.as_json()["token_type"] == "Bearer"
    assert await _active(world, grant.access_token)
    await world.service.refresh_grant(grant.refresh_token, HERE)
    assert await _lines(world, "user.log-in") == [("success", world.user.id)]


async def test_a_grant_does_not_show_its_tokens(world):
    """Neither in a repr nor in a log of it."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    assert grant.access_token not in repr(grant)
    assert grant.refresh_token not in repr(grant)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann@example.org", "wrong"),
        ("ann@example.org", ""),
        ("ann@example.org", "x" * 10_000),
        ("ann@example.org", PASSWORD + "\0"),
        ("ann@example.org", "\ud800"),
        ("bob@example.org", PASSWORD),
        ("", PASSWORD),
        ("", ""),
        ("\0", PASSWORD),
        ("\ud800", PASSWORD),
        ("x" * 100_000, PASSWORD),
    ],
)
async def test_every_wrong_log_in_gets_the_same_answer(world, login, password):
    """Nothing tells whether the account exists; the attempt is in the audit log."""
    with pytest.raises(InvalidGrant) as caught:
        await world.service.password_grant(login, password, HERE)
    assert str(caught.value).startswith("the log-in or the password is wrong")
    assert (caught.value.status, caught.value.oauth_error) == (400, "invalid_grant")
    assert [line[0] for line in await _lines(world, "user.log-in")] == ["refused"]


@pytest.mark.parametrize("change", ["user disabled", "user deleted", "customer disabled"])
async def test_who_is_not_active_gets_nothing_any_more(world, change):
    """No log-in, no renewal, and the access token that is still out is not welcome."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    await _change(
        world,
        world.customer if change.startswith("customer") else world.user,
        delete_softly
        if change.endswith("deleted")
        else lambda row: setattr(row, "status", Status.DISABLED),
    )
    assert not await _active(world, grant.access_token)
    with pytest.raises(InvalidGrant, match="the log-in or the password"):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    with pytest.raises(InvalidGrant, match="refresh token"):
        await world.service.refresh_grant(grant.refresh_token, HERE)
    async with world.database.session(read_only=True) as session:
        family = await session.scalar(select(TokenFamily))
    assert family.revoked_because == "owner-inactive"


async def test_the_right_password_is_refused_while_locked(world):
    """The third failure locks for ten seconds; the lock's end lets in and forgets."""
    for _ in range(3):
        with pytest.raises(InvalidGrant):
            await world.service.password_grant("ann@example.org", "wrong", HERE)
    with pytest.raises(InvalidGrant):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    world.clock.advance(10)
    await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    for _ in range(2):
        with pytest.raises(InvalidGrant):
            await world.service.password_grant("ann@example.org", "wrong", HERE)
    await world.service.password_grant("ann@example.org", PASSWORD, HERE)


async def test_many_guesses_at_once_are_no_more_than_the_lock_allows(world, monkeypatch):
    """Of twelve at once three are judged: the right one after them is refused like all others."""
    verify = world.service.passwords.verify
    others = asyncio.Event()

    async def last(stored, password):
        if password == PASSWORD:
            await others.wait()
        return await verify(stored, password)

    monkeypatch.setattr(world.service.passwords, "verify", last)

    async def guess(password):
        with pytest.raises(InvalidGrant):
            await world.service.password_grant("ann@example.org", password, HERE)

    right = asyncio.create_task(guess(PASSWORD))
    await asyncio.gather(*(guess(f"{n}") for n in range(11)))
    others.set()
    await right
    async with world.database.session(read_only=True) as session:
        assert (await session.get_one(User, world.user.id)).failed_logins == 3


async def test_many_right_log_ins_at_once_do_not_lock_each_other_out(world):
    """Twenty terminals of one account start in the same moment, and all are let in."""
    tries = [world.service.password_grant("ann@example.org", PASSWORD, HERE) for _ in range(20)]
    assert len({grant.access_token for grant in await asyncio.gather(*tries)}) == 20
    async with world.database.session(read_only=True) as session:
        user = await session.get_one(User, world.user.id)
    assert (user.failed_logins, user.locked_until) == (0, None)


async def test_an_unknown_log_in_costs_the_database_what_a_known_one_does(world):
    """The same statements in the same transactions, so that the time does not tell who exists."""

    async def statements(login):
        seen = []

        def note(connection, cursor, statement, *others):
            seen.append(statement)

        engine = world.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        with pytest.raises(InvalidGrant):
            await world.service.password_grant(login, "wrong", HERE)
        event.remove(engine, "before_cursor_execute", note)
        return seen

    known = await statements("ann@example.org")
    assert sum("UPDATE users" in statement for statement in known) == 1
    assert await statements("bob@example.org") == known


async def test_one_address_runs_out_whatever_the_account(world):
    """Twenty failures over many accounts, and then 429 before anything is looked up."""
    for number in range(20):
        with pytest.raises(InvalidGrant):
            await world.service.password_grant(f"user{number}@example.org", "x", HERE)
    with pytest.raises(TooManyAttempts):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    with pytest.raises(TooManyAttempts):
        await world.service.client_credentials_grant("x", "y", HERE)
    await world.service.password_grant("ann@example.org", PASSWORD, Origin("192.0.2.8"))


async def test_who_succeeds_never_runs_out(world):
    """A terminal room logs in all day long behind one address, and so do its stations."""
    for _ in range(25):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)
        await world.service.client_credentials_grant(world.station.client_id, world.secret, HERE)


async def test_old_hash_parameters_are_replaced_by_the_log_in(world):
    """Without a new version of the user."""
    stronger = PasswordHasher(SETTINGS.model_copy(update={"argon2_iterations": 2}))
    world.service.passwords, old = stronger, world.service.passwords
    old.close()
    await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    async with world.database.session(read_only=True) as session:
        user = await session.get_one(User, world.user.id)
    assert ",t=2," in user.password_hash
    assert user.version == world.user.version
    await world.service.password_grant("ann@example.org", PASSWORD, HERE)


async def test_a_password_changed_meanwhile_lets_the_old_one_in_no_more(world, monkeypatch):
    """Between the hash and the log-in somebody changed the password: no token."""
    verify = world.service.passwords.verify

    async def slow(stored, password):
        found = await verify(stored, password)
        await _change(world, world.user, lambda row: setattr(row, "password_hash", "other"))
        return found

    monkeypatch.setattr(world.service.passwords, "verify", slow)
    with pytest.raises(InvalidGrant):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)


async def test_a_reuse_ends_the_log_in_and_is_audited(world):
    """The family is revoked though the request fails; its access tokens go with it."""
    first = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    second = await world.service.refresh_grant(first.refresh_token, HERE)
    assert await _active(world, second.access_token)
    world.clock.advance(11)
    with pytest.raises(InvalidGrant):
        await world.service.refresh_grant(first.refresh_token, HERE)
    with pytest.raises(InvalidGrant):
        await world.service.refresh_grant(second.refresh_token, HERE)
    assert not await _active(world, second.access_token)
    assert await _lines(world, "token.reuse") == [("revoked", world.user.id)]


async def test_a_refresh_takes_a_new_role_along(world):
    """The new token says what the user is now; the old one is not welcome."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    await _change(world, world.user, lambda row: setattr(row, "role", Role.CUSTOMER_ADMINISTRATOR))
    assert not await _active(world, grant.access_token)
    renewed = await world.service.refresh_grant(grant.refresh_token, HERE)
    principal = await world.verifier.verify(renewed.access_token)
    assert principal.role is Role.CUSTOMER_ADMINISTRATOR
    assert await _active(world, renewed.access_token)


async def test_a_counted_up_epoch_ends_access_tokens_by_itself(world):
    """Even where the log-in's family still stands: a refresh gives a token of the new epoch."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    await _change(world, world.user, lambda row: setattr(row, "token_epoch", row.token_epoch + 1))
    assert not await _active(world, grant.access_token)
    renewed = await world.service.refresh_grant(grant.refresh_token, HERE)
    assert await _active(world, renewed.access_token)


async def test_a_station_gets_an_access_token_only(world):
    """RFC 6749, section 4.4.3: no refresh token."""
    grant = await world.service.client_credentials_grant(
        world.station.client_id, world.secret, HERE
    )
    principal = await world.verifier.verify(grant.access_token)
    assert (principal.station_id, principal.role) == (world.station.id, Role.STATION)
    assert principal.customer_id == world.customer.id
    assert "refresh_token" not in grant.as_json()
    assert await _active(world, grant.access_token)


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [(None, "wrong"), (None, ""), ("other", None), ("", ""), ("\0", "\ud800"), ("x" * 10**5, "x")],
)
async def test_a_wrong_client_is_refused(world, client_id, secret):
    """401 with a challenge, and an audit line."""
    with pytest.raises(InvalidClient) as caught:
        await world.service.client_credentials_grant(
            world.station.client_id if client_id is None else client_id,
            world.secret if secret is None else secret,
            HERE,
        )
    assert caught.value.status == 401
    assert "WWW-Authenticate" in caught.value.headers
    assert [line[0] for line in await _lines(world, "station.log-in")] == ["refused"]


@pytest.mark.parametrize("status", ["pending", "disabled", "deleted"])
async def test_only_an_active_station_is_let_in(world, status):
    """A deleted station's token stops at once, and it gets no other."""
    grant = await world.service.client_credentials_grant(
        world.station.client_id, world.secret, HERE
    )
    await _change(
        world,
        world.station,
        delete_softly if status == "deleted" else lambda row: setattr(row, "status", status),
    )
    assert not await _active(world, grant.access_token)
    with pytest.raises(InvalidClient):
        await world.service.client_credentials_grant(world.station.client_id, world.secret, HERE)


async def test_ending_a_stations_sessions_ends_its_tokens(world):
    """A new secret makes the tokens of the old one worthless."""
    grant = await world.service.client_credentials_grant(
        world.station.client_id, world.secret, HERE
    )
    async with world.database.session() as session:
        await end_sessions(session, await session.get_one(Station, world.station.id), "secret")
    assert not await _active(world, grant.access_token)
    again = await world.service.client_credentials_grant(
        world.station.client_id, world.secret, HERE
    )
    assert await _active(world, again.access_token)


async def test_revoking_a_refresh_token_ends_the_log_in(world):
    """RFC 7009: with the family go its access tokens; a second time is no error."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    other = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    for _ in range(2):
        await world.service.revoke(grant.refresh_token, HERE)
    assert not await _active(world, grant.access_token)
    assert await _active(world, other.access_token)
    with pytest.raises(InvalidGrant):
        await world.service.refresh_grant(grant.refresh_token, HERE)
    assert await _lines(world, "token.revoke") == [("success", world.user.id)]


async def test_revoking_an_access_token_ends_that_one(world):
    """The log-in goes on with its refresh token."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    for _ in range(2):
        await world.service.revoke(grant.access_token, HERE)
    assert not await _active(world, grant.access_token)
    renewed = await world.service.refresh_grant(grant.refresh_token, HERE)
    assert await _active(world, renewed.access_token)


async def test_two_revocations_at_once_are_no_error(world):
    """Both callers learn that the token is worth nothing."""
    grant = await world.service.client_credentials_grant(
        world.station.client_id, world.secret, HERE
    )
    await asyncio.gather(*(world.service.revoke(grant.access_token, HERE) for _ in range(5)))
    assert not await _active(world, grant.access_token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\ud800", "x" * 10**5])
async def test_revoking_an_unknown_token_is_no_error(world, token):
    """RFC 7009, section 2.2: its purpose is reached already."""
    await world.service.revoke(token, HERE)
    assert await _lines(world, "token.revoke") == []


async def test_a_changed_password_ends_all_sessions(world):
    """The old password and every token that came by it are worth nothing; the new one works."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    new = "eleven green otters"
    await world.service.change_password(world.user.id, PASSWORD, new, HERE)
    assert not await _active(world, grant.access_token)
    with pytest.raises(InvalidGrant):
        await world.service.refresh_grant(grant.refresh_token, HERE)
    with pytest.raises(InvalidGrant):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    again = await world.service.password_grant("ann@example.org", new, HERE)
    assert await _active(world, again.access_token)
    assert await _lines(world, "user.password") == [("success", world.user.id)]


async def test_a_locked_account_does_not_tell_the_right_password(world):
    """Not by a complaint about the new one, either: the old password is judged first."""
    for _ in range(3):
        with pytest.raises(InvalidGrant):
            await world.service.change_password(world.user.id, "wrong", "x" * 20, HERE)
    with pytest.raises(InvalidGrant):
        await world.service.change_password(world.user.id, PASSWORD, "short", HERE)


async def test_a_password_is_not_changed_without_the_old_one(world):
    """Nor to a weak one; the failures count as those of a log-in."""
    with pytest.raises(WeakPassword):
        await world.service.change_password(world.user.id, PASSWORD, "short", HERE)
    for _ in range(3):
        with pytest.raises(InvalidGrant):
            await world.service.change_password(world.user.id, "wrong", "x" * 20, HERE)
    with pytest.raises(InvalidGrant):
        await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    with pytest.raises(InvalidGrant):
        await world.service.change_password("nobody", PASSWORD, "eleven green otters", HERE)
    world.clock.advance(10)
    await world.service.password_grant("ann@example.org", PASSWORD, HERE)


async def test_two_refreshes_at_once_keep_the_log_in(world):
    """A client that sends the same request twice has a working session afterwards."""
    grant = await world.service.password_grant("ann@example.org", PASSWORD, HERE)
    both = await asyncio.gather(
        *(world.service.refresh_grant(grant.refresh_token, HERE) for _ in range(2))
    )
    assert all([await _active(world, one.access_token) for one in both])
    await world.service.refresh_grant(both[0].refresh_token, HERE)


def test_every_oauth_problem_has_a_registered_code():
    """RFC 6749 5.2, RFC 6750 3.1, and the one for overload."""
    allowed = {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_token",
        "temporarily_unavailable",
    }
    found = {problem.oauth_error for problem in OAuthProblem.__subclasses__()}
    assert found <= allowed
    assert len({problem.slug for problem in OAuthProblem.__subclasses__()}) == len(
        OAuthProblem.__subclasses__()
    )
