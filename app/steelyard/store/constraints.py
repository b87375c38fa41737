"""From a database's integrity error to a sentence: which constraint, and what it means."""

import re

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError

from steelyard.errors import Problem
from steelyard.store.base import Base
from steelyard.store.errors import InUse, Taken

_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")


_Unique = UniqueConstraint | PrimaryKeyConstraint | Index


def explain(error: IntegrityError) -> Problem | None:
    """`Taken` for a unique constraint, `InUse` for a foreign key, None for any other."""
    text = str(error.orig)
    if "FOREIGN KEY constraint failed" in text or "foreign key constraint" in text:
        return InUse("another entity depends on this one, or the one it names does not exist")
    found = _violated(text, error)
    if found is None:
        return None
    sentence = found.info.get("sentence", "the value is in use")
    return Taken(f"{sentence} already", str(found.name))


def _violated(text: str, error: IntegrityError) -> _Unique | None:
    if match := _SQLITE_UNIQUE.search(text):
        wanted = {part.strip() for part in match.group(1).split(",")}
        return next((one for one in _unique() if _columns(one) == wanted), None)
    name = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    return next((one for one in _unique() if name and one.name == name), None)


def _unique() -> list[_Unique]:
    found: list[_Unique] = []
    for table in Base.metadata.tables.values():
        found += [index for index in table.indexes if index.unique]
        found += [item for item in table.constraints if isinstance(item, _Unique)]
    return found


def _columns(item: _Unique) -> set[str]:
    table: Table | None = item.table
    return {f"{table}.{column.name}" for column in item.columns}
