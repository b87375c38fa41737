"""Finding users and stations that may act."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.store.models import Customer, Station, StationStatus, Status, User, name_key

MAX_LOGIN = 254


async def live_user(session: AsyncSession, login: str) -> User | None:
    """The user with this log-in, whatever its case, unless deleted."""
    if len(login) > MAX_LOGIN:
        return None
    statement = select(User).where(
        User.login_key == name_key(storable(login)), User.status != Status.DELETED
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def active_station(session: AsyncSession, condition: ColumnElement[bool]) -> Station | None:
    """The station that meets the condition, if it and its customer are active."""
    statement = (
        select(Station)
        .join(Customer, Customer.id == Station.customer_id)
        .where(condition, Station.status == StationStatus.ACTIVE, Customer.status == Status.ACTIVE)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def user_active(session: AsyncSession, user: User) -> bool:
    """Whether a user, and the customer that it belongs to, are active."""
    if user.status is not Status.ACTIVE:
        return False
    if user.customer_id is None:
        return True
    customer = await session.get(Customer, user.customer_id)
    return customer is not None and customer.status is Status.ACTIVE


def storable(text: str) -> str:
    """The text, or one that matches nothing: PostgreSQL refuses NUL and lone surrogates."""
    return text if text.isprintable() else ""
