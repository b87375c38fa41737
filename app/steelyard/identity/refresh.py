"""Refresh tokens: opaque, rotated at each use, in families that a reuse revokes.

A family descends from one log-in. Exchanging a token of the current generation makes the next
generation current. When the response of that exchange was lost, its client presents the same
token again: within the grace it gets a sibling of the lost one, and whichever sibling is used
first makes the generation after it. Any other token that is not of the current generation was
used before, by its owner or by a thief, and nobody can tell which: the family is revoked.
"""

import enum
import hashlib
import secrets
from dataclasses import dataclass, field

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.settings import IdentitySettings
from steelyard.store.models import RefreshToken, RevokedToken, Station, TokenFamily, User

_PREFIX = "steelyard_rt_"
_MAX_SIBLINGS = 5


class Outcome(enum.Enum):
    """How an exchange ended."""

    RENEWED = "renewed"
    REFUSED = "refused"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The outcome; `family` is None for a token that was never issued, `token` unless renewed."""

    outcome: Outcome
    family: TokenFamily | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """Lifetimes in milliseconds."""

    idle: int
    absolute: int
    grace: int

    @classmethod
    def from_settings(cls, settings: IdentitySettings) -> "RefreshPolicy":
        """The policy as the settings have it."""
        return cls(
            idle=settings.refresh_idle_seconds * 1000,
            absolute=settings.refresh_absolute_seconds * 1000,
            grace=settings.refresh_grace_seconds * 1000,
        )


async def open_family(
    session: AsyncSession, policy: RefreshPolicy, owner: User | Station, now_ms: int
) -> tuple[TokenFamily, str]:
    """Start a family at a log-in; the family and its first token."""
    family = TokenFamily(
        user_id=owner.id if isinstance(owner, User) else None,
        station_id=owner.id if isinstance(owner, Station) else None,
        generation=1,
        created_at=now_ms,
        rotated_at=now_ms,
        expires_at=now_ms + policy.absolute,
    )
    session.add(family)
    await session.flush()
    return family, await _issue(session, policy, family, now_ms)


async def exchange(
    session: AsyncSession, policy: RefreshPolicy, token: str, now_ms: int
) -> Exchange:
    """Rotate: a new token for this one. A reuse revokes the family in this session.

    The session must be committed whatever the outcome, so this returns where others would raise.
    """
    family = await _locked_family(session, token)
    if family is None:
        return Exchange(Outcome.REFUSED)
    if family.revoked_at is not None or now_ms >= family.expires_at:
        return Exchange(Outcome.REFUSED, family)
    presented = await session.get_one(RefreshToken, digest(token), populate_existing=True)
    if presented.generation == family.generation:
        if now_ms >= presented.expires_at:
            return Exchange(Outcome.REFUSED, family)
        presented.exchanged_at = now_ms
        family.generation += 1
        family.rotated_at = now_ms
    elif not _in_grace(policy, family, presented, now_ms):
        family.revoked_at = now_ms
        family.revoked_because = "reuse"
        return Exchange(Outcome.REUSED, family)
    elif await _siblings(session, family) >= _MAX_SIBLINGS:
        return Exchange(Outcome.REFUSED, family)
    return Exchange(Outcome.RENEWED, family, await _issue(session, policy, family, now_ms))


async def revoke_family(session: AsyncSession, token: str, now_ms: int) -> TokenFamily | None:
    """Revoke the family of a token; the family, or None when there is none or no longer."""
    family = await _locked_family(session, token)
    if family is None or family.revoked_at is not None:
        return None
    family.revoked_at = now_ms
    family.revoked_because = "revoked"
    return family


async def revoke_families(
    session: AsyncSession, owner: User | Station, because: str, now_ms: int
) -> None:
    """Revoke all families of a user or a station."""
    column = TokenFamily.user_id if isinstance(owner, User) else TokenFamily.station_id
    await session.execute(
        update(TokenFamily)
        .where(column == owner.id, TokenFamily.revoked_at.is_(None))
        .values(revoked_at=now_ms, revoked_because=because)
    )


async def purge(session: AsyncSession, now_ms: int) -> int:
    """Delete families and revoked access tokens that have expired; how many rows of both.

    Nothing changes for a client: an expired token is refused, and so is an unknown one.
    """
    expired = select(TokenFamily.id).where(TokenFamily.expires_at <= now_ms)
    await session.execute(delete(RefreshToken).where(RefreshToken.family_id.in_(expired)))
    removed = 0
    for statement in (
        delete(TokenFamily).where(TokenFamily.expires_at <= now_ms).returning(TokenFamily.id),
        delete(RevokedToken)
        .where(RevokedToken.expires_at <= now_ms)
        .returning(RevokedToken.token_id),
    ):
        removed += len((await session.execute(statement)).all())
    return removed


def digest(token: str) -> bytes:
    """What is stored of a token: it has 256 random bits, so a plain SHA-256 hides it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def _locked_family(session: AsyncSession, token: str) -> TokenFamily | None:
    # The lock on the family's row puts simultaneous exchanges one after the other.
    statement = (
        select(TokenFamily)
        .where(
            TokenFamily.id
            == select(RefreshToken.family_id)
            .where(RefreshToken.digest == digest(token))
            .scalar_subquery()
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.execute(statement)).scalar_one_or_none()


def _in_grace(
    policy: RefreshPolicy, family: TokenFamily, presented: RefreshToken, now_ms: int
) -> bool:
    return (
        presented.generation == family.generation - 1
        and presented.exchanged_at is not None
        and now_ms - family.rotated_at <= policy.grace
    )


async def _siblings(session: AsyncSession, family: TokenFamily) -> int:
    statement = (
        select(func.count())
        .select_from(RefreshToken)
        .where(RefreshToken.family_id == family.id, RefreshToken.generation == family.generation)
    )
    return (await session.execute(statement)).scalar_one()


async def _issue(
    session: AsyncSession, policy: RefreshPolicy, family: TokenFamily, now_ms: int
) -> str:
    token = _PREFIX + secrets.token_urlsafe(32)
    session.add(
        RefreshToken(
            digest=digest(token),
            family_id=family.id,
            generation=family.generation,
            issued_at=now_ms,
            expires_at=min(now_ms + policy.idle, family.expires_at),
        )
    )
    await session.flush()
    return token
