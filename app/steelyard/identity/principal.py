"""Who asks: what an access token says of its bearer."""

from dataclasses import dataclass
from typing import Literal

from steelyard.store.audit import Actor
from steelyard.store.models import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """The bearer of a verified access token.

    `id` is the user's or the station's id, `station_id` is set for stations only. `family_id`
    is the refresh-token family of the log-in, None for tokens that came without one.
    `expires_at` is in seconds since the epoch, as in the token.
    """

    kind: Literal["user", "station"]
    id: str
    role: Role
    customer_id: str | None
    station_id: str | None
    token_id: str
    epoch: int
    expires_at: int
    family_id: str | None = None

    @property
    def actor(self) -> Actor:
        """The principal as the audit log names it."""
        return Actor(self.kind, self.id)
