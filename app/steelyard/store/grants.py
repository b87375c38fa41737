"""Tables of refresh-token families and of revoked access tokens (see steelyard.identity.refresh).

The tokens themselves are never stored: a row's key is the SHA-256 of one.
"""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from steelyard.store.base import Base, Identifier
from steelyard.store.identifiers import new_id


class TokenFamily(Base):
    """All refresh tokens that descend from one log-in of a user or a station.

    `generation` is the generation of tokens that is current, `rotated_at` when it became so.
    Times are milliseconds UTC.
    """

    __tablename__ = "token_families"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (station_id IS NULL)", name="owner"),
        Index("ix_token_families_user_id", "user_id"),
        Index("ix_token_families_station_id", "station_id"),
        Index("ix_token_families_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True, default=new_id)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    station_id: Mapped[str | None] = mapped_column(ForeignKey("stations.id"))
    generation: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    rotated_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_because: Mapped[str | None] = mapped_column(String(32))


class RefreshToken(Base):
    """One refresh token: its SHA-256, its generation, and when it was first exchanged."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("ix_refresh_tokens_family_id", "family_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    family_id: Mapped[str] = mapped_column(ForeignKey("token_families.id", ondelete="CASCADE"))
    generation: Mapped[int] = mapped_column(BigInteger)
    issued_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    exchanged_at: Mapped[int | None] = mapped_column(BigInteger)


class RevokedToken(Base):
    """An access token (by its `jti`) that was revoked before it expired."""

    __tablename__ = "revoked_tokens"
    __table_args__ = (Index("ix_revoked_tokens_expires_at", "expires_at"),)

    token_id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger)
