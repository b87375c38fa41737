"""Settings of the entity database and of the vault."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from steelyard.settings import Section

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


class StoreSettings(Section):
    """The entity database: SQLite embedded, PostgreSQL in the field."""

    section: ClassVar[str] = "store"

    url: str = Field(
        description="Database URL without password: sqlite:////path/to/file.db or "
        "postgresql://user@host:5432/name."
    )
    password_file: Path | None = Field(
        None, description="File with the database user's password (PostgreSQL)."
    )
    ca_file: Path | None = Field(
        None,
        description="Authority of the database server's certificate (PEM, PostgreSQL elsewhere). "
        "With it the connection is TLS, and the server must be the one that the URL names.",
    )
    audit_key_file: Path | None = Field(
        None,
        description="File with a secret of at least 16 bytes that keys the audit log's hash chain; "
        "without it the chain is a plain SHA-256. Set it before the first start and keep it.",
    )
    pool_size: int = Field(
        5, ge=1, le=100, description="Connections that a process keeps open (PostgreSQL)."
    )
    busy_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long SQLite waits for another writer, in seconds."
    )
    connect_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="How long a connection to PostgreSQL may take, in seconds."
    )
    statement_timeout_seconds: float = Field(
        30.0, gt=0, le=3600, description="How long a PostgreSQL statement may take, in seconds."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        allowed = "must be sqlite:////path or postgresql://user@host/name"
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError(allowed) from None
        if url.drivername not in _DRIVERS:
            raise ValueError(allowed)
        if url.password is not None or "password" in url.query:
            raise ValueError("must not hold a password; name a file with store.password_file")
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("must name a file: each process opens the database for itself")
        return value

    def engine_url(self) -> URL:
        """The URL with the asynchronous driver, still without the password."""
        url = make_url(self.url)
        return url.set(drivername=_DRIVERS[url.drivername])


class VaultSettings(Section):
    """Encryption at rest."""

    section: ClassVar[str] = "vault"

    key_ring_file: Path = Field(
        description="JSON file with the vault's keys (steelyard vault init), readable by the "
        "service's user only."
    )
