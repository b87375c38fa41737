"""What all tables have in common: naming, identifiers, times, the row's version."""

import enum
import hashlib
import unicodedata
from typing import Any

from sqlalchemy import BigInteger, Dialect, Enum, Index, LargeBinary, MetaData, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, validates
from sqlalchemy.types import TypeDecorator

from steelyard.store.identifiers import new_id, now_ms

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Identifier = String(26)
KEY_LENGTH = 256


DELETED_CHECK = "(status = 'deleted') = (deleted_at IS NOT NULL)"


class Base(DeclarativeBase):
    """The declarative base of every table."""

    metadata = MetaData(naming_convention=NAMING)


class Sealed(TypeDecorator[bytes]):
    """A column whose bytes the vault sealed; `steelyard vault` finds such columns by this type."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Refuse what is no bytes: a clear text must not slip into a sealed column."""
        del dialect
        if value is not None and not isinstance(value, bytes):
            raise TypeError("a sealed column takes the bytes that Vault.seal returned")
        return value


def words(kind: type[enum.StrEnum]) -> Enum:
    """A column type that holds the members' values as text, with a check constraint."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=32,
        name=kind.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


class Status(enum.StrEnum):
    """The life of a customer, user, weighbridge, device, route or webhook."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


def live_unique(name: str, *columns: str, sentence: str, also: str = "") -> Index:
    """A unique index over the rows that are not deleted; `sentence` tells who violates it."""
    where = text(f"status <> 'deleted'{also}")
    return Index(
        name,
        *columns,
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
        info={"sentence": sentence},
    )


def name_key(name: str) -> str:
    """The form in which names and log-ins are compared: NFKC, without case.

    Compatibility forms can make a text many times longer than it was, and an index has limits, so
    a long key is replaced by its SHA-256.
    """
    key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if len(key) <= KEY_LENGTH:
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Row:
    """An entity: identifier, times in milliseconds UTC, and a version that each update counts up.

    Two transactions that change the same version do not both succeed: the second one raises
    `ChangedMeanwhile`. The version is the entity's ETag.
    """

    id: Mapped[str] = mapped_column(Identifier, primary_key=True, default=new_id)
    version: Mapped[int] = mapped_column(BigInteger, nullable=False)
    created_at: Mapped[int] = mapped_column(BigInteger, default=now_ms)
    updated_at: Mapped[int] = mapped_column(BigInteger, default=now_ms, onupdate=now_ms)
    deleted_at: Mapped[int | None] = mapped_column(BigInteger)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}


class NamedRow(Row):
    """An entity with a name that is unique in some sense; `name_key` follows the name."""

    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(KEY_LENGTH))

    @validates("name")
    def _fold_name(self, attribute: str, name: str) -> str:
        del attribute
        self.name_key = name_key(name)
        return name
