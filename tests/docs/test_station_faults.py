"""The table of faults names tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "station-faults.md"
ROWS = [
    line
    for line in PAGE.read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| fault", "| ---"))
]
# Issue 7's list, in words of the rows.
WANTED = (
    *("a fifth of all packets", "packets twice", "out of order", "replayed"),
    *("certificate of another station", "future or the past", "no load makes", "NaN"),
    *("stops reading its stream", "two displays", "calibration edited by hand"),
)


@cache
def source_of(name: str) -> tuple[str, frozenset[str]]:
    """A file of tests, and the names of its tests."""
    text = (ROOT / name).read_text("utf-8")
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return text, frozenset(one.name for one in ast.parse(text).body if isinstance(one, found))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_rows_tests_are_there(row: str) -> None:
    """Each by its file, its name and, where it is one of several, its id."""
    _, fault, outcome, tests, _ = (cell.strip() for cell in row.split("|"))
    assert fault
    assert outcome
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[([^\]]+)\])?`", tests)
    assert len(named) == tests.count("`") // 2 > 0
    for path, name, case in named:
        text, known = source_of(path)
        assert name in known, f"{path} has no {name}"
        assert not case or f'"{case}"' in text, f"{name} has no case {case}"


@pytest.mark.parametrize("fault", WANTED)
def test_no_fault_that_was_asked_for_is_missing(fault: str) -> None:
    """Bad input and faults, each in a test."""
    assert any(fault in row.split("|")[1] for row in ROWS)
