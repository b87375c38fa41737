"""Whether the bearer of an access token is still welcome."""

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.principal import Principal
from steelyard.store.models import (
    Customer,
    RevokedToken,
    Station,
    StationStatus,
    Status,
    TokenFamily,
    User,
)


async def principal_active(session: AsyncSession, principal: Principal) -> bool:
    """Whether the bearer of a valid token may still act: one indexed query.

    False when the user, station or customer is disabled or deleted, when the role or customer
    changed, when its tokens were ended (`end_sessions`), or this token or its log-in revoked.
    """
    if principal.kind == "user":
        return await _user_stands(session, principal)
    return await _station_stands(session, principal)


async def _user_stands(session: AsyncSession, principal: Principal) -> bool:
    statement = (
        select(User.id)
        .outerjoin(Customer, Customer.id == User.customer_id)
        .where(
            User.id == principal.id,
            User.status == Status.ACTIVE,
            User.role == principal.role,
            User.token_epoch == principal.epoch,
            User.customer_id.is_not_distinct_from(principal.customer_id),
            (User.customer_id.is_(None)) | (Customer.status == Status.ACTIVE),
            *_not_revoked(principal),
        )
    )
    return (await session.execute(statement)).first() is not None


async def _station_stands(session: AsyncSession, principal: Principal) -> bool:
    statement = (
        select(Station.id)
        .join(Customer, Customer.id == Station.customer_id)
        .where(
            Station.id == principal.id,
            Station.status == StationStatus.ACTIVE,
            Station.token_epoch == principal.epoch,
            Station.customer_id == principal.customer_id,
            Customer.status == Status.ACTIVE,
            *_not_revoked(principal),
        )
    )
    return (await session.execute(statement)).first() is not None


def _not_revoked(principal: Principal) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        ~exists().where(RevokedToken.token_id == principal.token_id)
    ]
    if principal.family_id is not None:
        conditions.append(
            exists().where(TokenFamily.id == principal.family_id, TokenFamily.revoked_at.is_(None))
        )
    return conditions
