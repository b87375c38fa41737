"""The grants of the token endpoint, revocation, and changing a password.

Each method is its own unit of work: what a failure must leave behind (a counted attempt, a
revoked family, an audit line) is committed before the error is raised.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from steelyard.identity import clients, refresh
from steelyard.identity.errors import InvalidClient, InvalidGrant, InvalidToken
from steelyard.identity.grants import Grant, Origin
from steelyard.identity.lockout import AddressLimiter, clear_attempts, count_failure, is_locked
from steelyard.identity.lookups import active_station, live_user, storable, user_active
from steelyard.identity.passwords import MAX_BYTES, PasswordHasher, Verification, check_password
from steelyard.identity.principal import Principal
from steelyard.identity.sessions import end_sessions
from steelyard.identity.settings import IdentitySettings
from steelyard.identity.tokens import TokenIssuer, TokenVerifier
from steelyard.store.audit import Actor, Subject, record
from steelyard.store.database import Database
from steelyard.store.errors import Taken
from steelyard.store.identifiers import now_ms
from steelyard.store.models import (
    RevokedToken,
    Role,
    Station,
    Status,
    TokenFamily,
    User,
)

__all__ = ["Grant", "IdentityService", "Origin"]

logger = get_logger(__name__)

_WRONG_LOGIN = "the log-in or the password is wrong, or the account is locked for a while"
_WRONG_CLIENT = "the client id or the client secret is wrong"
_WRONG_REFRESH = "the refresh token is invalid, expired or revoked"
_LEEWAY_SECONDS = 300  # the most that the settings allow


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The account that a password was compared with, as it was then, and what came of it."""

    user: User | None
    checked: Verification


class IdentityService:
    """Log-ins and tokens. One for a process, because the address limiter lives in its memory."""

    def __init__(
        self,
        database: Database,
        settings: IdentitySettings,
        issuer: TokenIssuer,
        verifier: TokenVerifier,
        passwords: PasswordHasher,
        *,
        limiter: AddressLimiter | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._settings = settings
        self._issuer = issuer
        self._verifier = verifier
        self._policy = refresh.RefreshPolicy.from_settings(settings)
        self._limiter = limiter or AddressLimiter.from_settings(settings)
        self._clock = clock
        self.passwords = passwords

    @classmethod
    def from_settings(cls, database: Database, settings: IdentitySettings) -> Self:
        """A service with the key files that the settings name."""
        return cls(
            database,
            settings,
            TokenIssuer.from_settings(settings),
            TokenVerifier.from_settings(settings),
            PasswordHasher(settings),
        )

    def close(self) -> None:
        """Release the hashing threads."""
        self.passwords.close()

    async def password_grant(self, login: str, password: str, origin: Origin) -> Grant:
        """Log a user in (RFC 6749, section 4.3). Raises InvalidGrant, TooManyAttempts.

        Unknown, disabled and locked accounts get the same answer as a wrong password.
        """
        self._limiter.take(origin.address)
        attempt = await self._attempt(login, password)
        user = attempt.user
        async with self._database.session() as session:
            current = await self._judge(session, attempt)
            grant = await self._log_in(session, current, attempt.checked) if current else None
            await record(
                session,
                "user.log-in",
                actor=Actor("user", user.id if user else None),
                subject=Subject("user", user.id) if user else None,
                outcome="success" if grant else "refused",
                detail={"address": origin.address[:64]},
                request_id=origin.request_id,
            )
        if grant is None:
            raise InvalidGrant(_WRONG_LOGIN)
        self._limiter.give_back(origin.address)
        return grant

    async def client_credentials_grant(
        self, client_id: str, client_secret: str, origin: Origin
    ) -> Grant:
        """A station's access token (RFC 6749, section 4.4). Raises InvalidClient, TooManyAttempts.

        No refresh token comes with it (section 4.4.3): the station can always ask again.
        """
        self._limiter.take(origin.address)
        async with self._database.session(read_only=True) as session:
            station = await active_station(session, Station.client_id == storable(client_id))
        stored = station.client_secret_hash if station else None
        if not clients.secret_matches(stored, client_secret) or station is None:
            await self._audit_refusal("station.log-in", Actor("station"), origin)
            raise InvalidClient(_WRONG_CLIENT)
        self._limiter.give_back(origin.address)
        return self._grant_station(station)

    async def refresh_grant(self, refresh_token: str, origin: Origin) -> Grant:
        """New tokens for a refresh token (RFC 6749, section 6). Raises InvalidGrant.

        A refresh token that was used before revokes its whole family, and the audit log says so.
        """
        grant = None
        async with self._database.session() as session:
            exchange = await refresh.exchange(session, self._policy, refresh_token, self._clock())
            family = exchange.family
            if exchange.outcome is refresh.Outcome.RENEWED and family is not None:
                grant = await self._renew(session, family, exchange.token)
            elif exchange.outcome is refresh.Outcome.REUSED and family is not None:
                logger.warning("refresh token reused", family=family.id)
                await record(
                    session,
                    "token.reuse",
                    actor=_owner(family),
                    subject=Subject("token-family", family.id),
                    outcome="revoked",
                    detail={"address": origin.address[:64]},
                    request_id=origin.request_id,
                )
        if grant is None:
            raise InvalidGrant(_WRONG_REFRESH)
        return grant

    async def revoke(self, token: str, origin: Origin) -> None:
        """Revoke a refresh token with its family, or an access token (RFC 7009).

        Unknown and expired tokens are no error (section 2.2).
        """
        now = self._clock()
        async with self._database.session() as session:
            family = await refresh.revoke_family(session, token, now)
            if family is not None:
                await record(
                    session,
                    "token.revoke",
                    actor=_owner(family),
                    subject=Subject("token-family", family.id),
                    request_id=origin.request_id,
                )
                return
        try:
            principal = await self._verifier.verify(token)
        except InvalidToken:
            return
        with suppress(Taken):  # somebody revoked it at the same moment
            async with self._database.session() as session:
                await _revoke_access_token(session, principal, origin)

    async def change_password(self, user_id: str, current: str, new: str, origin: Origin) -> None:
        """A user changes the own password; all of the user's tokens end.

        Raises InvalidGrant when `current` is wrong, WeakPassword when `new` breaks a rule.
        """
        self._limiter.take(origin.address)
        async with self._database.session(read_only=True) as session:
            found = await session.get(User, user_id)
            login = found.login if found else ""
        attempt = await self._attempt(login, current)
        async with self._database.session() as session:
            user = await self._judge(session, attempt)
        if user is None or user.id != user_id:
            await self._audit_refusal("user.password", Actor("user", user_id), origin)
            raise InvalidGrant(_WRONG_LOGIN)
        self._limiter.give_back(origin.address)
        new_hash = await self.new_password(new, login=user.login)
        async with self._database.session() as session:
            stands = await self._judge(session, attempt)
            if stands is None:
                raise InvalidGrant(_WRONG_LOGIN)
            stands.password_hash = new_hash
            await end_sessions(session, stands, "password-changed")
            await clear_attempts(session, stands, self._clock())
            actor = Actor("user", user_id)
            await record(
                session,
                "user.password",
                actor=actor,
                subject=Subject("user", user_id),
                request_id=origin.request_id,
            )

    async def new_password(self, password: str, *, login: str) -> str:
        """The hash of a new password for `login`. Raises WeakPassword."""
        check_password(password, login=login, min_length=self._settings.password_min_length)
        return await self.passwords.hash(password)

    async def _attempt(self, login: str, password: str) -> _Attempt:
        """Compare with the password of the account, if there is one that takes log-ins now."""
        async with self._database.session(read_only=True) as session:
            user = await live_user(session, login)
        if user is not None and (
            user.status is not Status.ACTIVE or is_locked(user, self._clock())
        ):
            user = None
        return _Attempt(user, await self._verify(user, password))

    async def _verify(self, user: User | None, password: str) -> Verification:
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            user = None  # no such password can have been set; hashing megabytes would cost time
            password = ""
        return await self.passwords.verify(user.password_hash if user else None, password)

    async def _judge(self, session: AsyncSession, attempt: _Attempt) -> User | None:
        """The user's row, locked, if the attempt lets in; otherwise it is counted as failed.

        However many guesses are hashed at once, they are judged one after the other: once so many
        have failed that the account is locked, the right one among the rest does not let in.
        """
        known = attempt.user
        statement = select(User).where(User.id == (known.id if known else "")).with_for_update()
        current = (await session.execute(statement)).scalar_one_or_none()
        now = self._clock()
        if (
            current is not None
            and known is not None
            and attempt.checked.matches
            and not is_locked(current, now)
            and current.password_hash == known.password_hash
            and await user_active(session, current)
        ):
            return current
        await count_failure(session, current, self._settings, now)
        return None

    async def _log_in(self, session: AsyncSession, user: User, checked: Verification) -> Grant:
        now = self._clock()
        await clear_attempts(session, user, now, new_hash=checked.new_hash)
        family, token = await refresh.open_family(session, self._policy, user, now)
        return self._grant_user(user, family.id, token)

    async def _renew(
        self, session: AsyncSession, family: TokenFamily, token: str | None
    ) -> Grant | None:
        if family.user_id is not None:
            user = await session.get(User, family.user_id)
            if user is not None and await user_active(session, user):
                return self._grant_user(user, family.id, token)
        elif family.station_id is not None:
            station = await active_station(session, Station.id == family.station_id)
            if station is not None:
                return self._grant_station(station, family.id, token)
        family.revoked_at = self._clock()
        family.revoked_because = "owner-inactive"
        return None

    def _grant_user(self, user: User, family_id: str, token: str | None) -> Grant:
        access = self._issuer.issue(
            kind="user",
            subject=user.id,
            role=user.role,
            customer_id=user.customer_id,
            epoch=user.token_epoch,
            family_id=family_id,
        )
        return Grant(access, self._issuer.lifetime_seconds, token)

    def _grant_station(
        self, station: Station, family_id: str | None = None, token: str | None = None
    ) -> Grant:
        access = self._issuer.issue(
            kind="station",
            subject=station.id,
            role=Role.STATION,
            customer_id=station.customer_id,
            epoch=station.token_epoch,
            family_id=family_id,
        )
        return Grant(access, self._issuer.lifetime_seconds, token)

    async def _audit_refusal(self, action: str, actor: Actor, origin: Origin) -> None:
        async with self._database.session() as session:
            await record(
                session,
                action,
                actor=actor,
                outcome="refused",
                detail={"address": origin.address[:64]},
                request_id=origin.request_id,
            )


async def _revoke_access_token(session: AsyncSession, principal: Principal, origin: Origin) -> None:
    if await session.get(RevokedToken, principal.token_id) is not None:
        return
    # A verifier takes the token for its leeway longer than it says.
    expires_at = (principal.expires_at + _LEEWAY_SECONDS) * 1000
    session.add(RevokedToken(token_id=principal.token_id, expires_at=expires_at))
    await record(
        session,
        "token.revoke",
        actor=principal.actor,
        subject=Subject("access-token", principal.token_id),
        request_id=origin.request_id,
    )


def _owner(family: TokenFamily) -> Actor:
    if family.user_id is not None:
        return Actor("user", family.user_id)
    return Actor("station", family.station_id)
