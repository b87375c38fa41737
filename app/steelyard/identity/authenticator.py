"""What both APIs ask of an access token: that it is ours, and that its bearer still may come in."""

from steelyard.identity.active import principal_active
from steelyard.identity.errors import InvalidToken
from steelyard.identity.principal import Principal
from steelyard.identity.tokens import TokenVerifier
from steelyard.store.database import Database


class Authenticator:
    """Turns an access token into a principal; implements steelyard.web.auth.Authenticator."""

    def __init__(self, verifier: TokenVerifier, database: Database) -> None:
        self._verifier = verifier
        self._database = database

    async def authenticate(self, token: str) -> Principal:
        """The bearer. Raises InvalidToken, also when it was revoked or its bearer deleted."""
        principal = await self._verifier.verify(token)
        async with self._database.session(read_only=True) as session:
            if not await principal_active(session, principal):
                raise InvalidToken("the access token was revoked")
        return principal
