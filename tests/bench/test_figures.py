"""Percentiles, rates, sizes of directories and tables: what the figures are made of."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures import Rate, Spread, directory_bytes, percentile, table


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 5), (51, 6), (90, 9), (95, 10), (100, 10)]
)
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([7, 3, 10, 1, 2, 9, 8, 4, 6, 5], percent) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_at_least_so_many_values_do_not_exceed_a_percentile(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_a_spread_of_one_value_is_that_value() -> None:
    assert Spread.of([0.5]) == Spread(1, 0.5, 0.5, 0.5, 0.5, 0.5)


def test_a_rate_joins_its_rounds_by_their_seconds() -> None:
    """Not the mean of the rounds' rates: a slow round weighs by the time that it took."""
    rate = Rate()
    assert rate.per_second == 0
    rate.add(100, 1)
    rate.add(100, 4)
    assert rate.per_second == 40
    assert rate.as_dict()["per_second_by_round"] == [100, 25]


def test_directory_bytes_are_those_of_the_blocks(tmp_path: Path) -> None:
    """A file with a hole occupies what is written, and one byte occupies a block."""
    nothing = directory_bytes(tmp_path)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    sparse = tmp_path / "deep" / "er" / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
        file.flush()
        os.fsync(file.fileno())
    assert directory_bytes(tmp_path) - nothing < 1 << 20
    before = directory_bytes(tmp_path)
    (tmp_path / "full").write_bytes(os.urandom(1 << 20))
    assert directory_bytes(tmp_path) - before >= 1 << 20


def test_a_table_is_markdown_with_aligned_columns() -> None:
    assert table(["", "a second"], [["naive", "7.5"], ["in batches", "1,500"]]).splitlines() == [
        "|            | a second |",
        "| ---------- | -------: |",
        "| naive      |      7.5 |",
        "| in batches |    1,500 |",
    ]
