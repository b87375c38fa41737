"""What all tables have in common: naming, identifiers, times, the row's version."""

import enum
from typing import Any

from sqlalchemy import BigInteger, Dialect, Enum, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
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
