"""How all tokens of a user or a station end at once."""

from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.identity.refresh import revoke_families
from steelyard.store.identifiers import now_ms
from steelyard.store.models import Station, User


async def end_sessions(session: AsyncSession, owner: User | Station, because: str) -> None:
    """End all log-ins and tokens of a user or a station.

    To be called with any change of password, secret, role or status and with a deletion.
    `because` is at most 32 characters. The entity's version counts up.
    """
    owner.token_epoch += 1
    await session.flush()
    await revoke_families(session, owner, because, now_ms())
