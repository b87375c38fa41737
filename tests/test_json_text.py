"""JSON from strangers: depth is known before Python reads it, whatever the recursion limit."""

import json
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.json_text import MAX_DEPTH, depth, read_json

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def nested(value: object) -> int:
    members = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(members, list):
        return 0
    return 1 + max(map(nested, members), default=0)


@pytest.fixture
def huge_recursion_limit() -> Iterator[None]:
    """What eth-account's py_ecc does to a process that imports it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(before)


@given(documents)
def test_depth_is_the_values_depth(document: object) -> None:
    """Brackets within strings do not count, escaped quotation marks do not end them."""
    body = json.dumps(document, ensure_ascii=False).encode()
    assert depth(body) == nested(document)
    assert read_json(body) == document


@given(st.binary())
def test_garbage_is_a_value_error(body: bytes) -> None:
    """Whatever is no document is refused with one kind of error."""
    try:
        read_json(body)
    except ValueError:
        return
    json.loads(body)


@pytest.mark.usefixtures("huge_recursion_limit")
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_deep_nesting_is_refused_before_it_is_read(opening: bytes) -> None:
    """A document that would overflow the stack is refused, complete or cut off."""
    with pytest.raises(ValueError, match="too deeply"):
        read_json(opening * 200_000)


def test_the_deepest_allowed() -> None:
    """As deep as the limit is read; one deeper is not."""
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    with pytest.raises(ValueError, match="too deeply"):
        read_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
