"""What a program writes as settings is read as the same settings."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.settings import as_toml

NAMES = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
TEXTS = st.text(max_size=20).filter(str.isprintable)
PLAIN = st.one_of(TEXTS, st.booleans(), st.integers(-(2**53), 2**53), st.lists(TEXTS, max_size=3))
INNER = st.dictionaries(NAMES, PLAIN, max_size=3)
TABLES = st.dictionaries(
    NAMES, st.one_of(PLAIN, INNER, st.lists(INNER, min_size=1, max_size=2)), max_size=4
)
SECTIONS = st.dictionaries(
    NAMES, st.one_of(PLAIN, TABLES, st.lists(TABLES, min_size=1, max_size=2)), max_size=5
)


@given(SECTIONS)
def test_what_is_written_is_read(values: dict[str, Any]) -> None:
    """Texts, numbers, lists, and tables within tables."""
    assert tomllib.loads(as_toml("box", values)) == {"box": values}


def test_what_is_not_printable_is_not_written() -> None:
    """A line break in a text would be another setting."""
    with pytest.raises(ValueError, match="printable"):
        as_toml("box", {"name": "a\nb"})
