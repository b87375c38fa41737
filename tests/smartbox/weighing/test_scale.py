"""What a scale shows, by the rules of OIML R 76-1."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from weighing_kit import settings

from steelyard.smartbox.settings import WeighbridgeSettings
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.errors import CannotTare, CannotZero
from steelyard.smartbox.weighing.filtering import SETTLED, make_filter
from steelyard.smartbox.weighing.scale import Range, Scale
from steelyard.smartbox.weighing.stability import Stability
from steelyard.smartbox.weighing.tare import Tare
from steelyard.smartbox.weighing.zero import Zero

SINGLE = Scale("III", (Range(60_000_000, 20_000),))
MULTI = Scale("III", (Range(30_000_000, 10_000), Range(60_000_000, 20_000)))

loads = st.floats(-70_000_000, 70_000_000)


@given(loads, st.sampled_from([SINGLE, MULTI]))
def test_what_is_shown_is_the_nearest_multiple(load: float, scale: Scale) -> None:
    """At most half an interval of its range away; signs mirror."""
    shown = scale.rounded(load)
    interval = scale.interval_at(load)
    assert shown % interval == 0
    assert abs(shown - load) <= interval / 2
    assert scale.rounded(-load) == -shown


@given(loads, loads)
def test_a_heavier_load_never_shows_less(one: float, other: float) -> None:
    """Across the change of the range too."""
    low, high = sorted((one, other))
    assert MULTI.rounded(low) <= MULTI.rounded(high)


@given(st.integers(-3000, 3000))
def test_what_is_shown_is_shown_as_it_is(steps: int) -> None:
    """Rounding twice changes nothing; a tie goes away from zero."""
    assert SINGLE.rounded(steps * 20_000) == steps * 20_000
    tie = SINGLE.rounded(steps * 20_000 + math.copysign(10_000, steps))
    assert abs(tie) == (abs(steps) + 1) * 20_000


@pytest.mark.parametrize(
    ("load", "halves"),
    [(0, 1), (500, 1), (501, 2), (2000, 2), (2001, 3), (3000, 3)],
)
def test_the_permissible_errors_are_those_of_table_6(load: int, halves: int) -> None:
    """Class III, in intervals; twice as much in service (3.5.1, 3.5.2)."""
    assert SINGLE.permissible_error(load * 20_000) == halves * 10_000
    assert SINGLE.permissible_error(load * 20_000, in_service=True) == halves * 20_000


@pytest.mark.parametrize(
    ("load", "error"),
    [(500, 0.5), (501, 1), (2000, 1), (2001, 2), (4000, 2), (4001, 3), (5000, 3), (5001, 10)],
)
def test_the_example_of_the_recommendation(load: int, error: float) -> None:
    """Its multi-interval scale of class III, 2/5/15 kg by 1/2/10 g (3.3)."""
    scale = Scale("III", (Range(2000, 1), Range(5000, 2), Range(15_000, 10)))
    assert scale.fault() is None
    assert scale.permissible_error(load) == scale.permissible_error(15_000 if load > 5000 else load)
    assert scale.permissible_error(load) == error


def test_what_is_far_below_zero_is_not_shown() -> None:
    """20 intervals (4.2.3)."""
    assert not SINGLE.is_under(-400_000)
    assert SINGLE.is_under(-400_001)


def test_each_partial_range_has_its_own_errors() -> None:
    """10 t on a scale of 30/60 t by 10/20 kg: 1,000 intervals of 10 kg, so one of them."""
    assert MULTI.permissible_error(10_000_000) == 10_000
    assert MULTI.permissible_error(31_000_000) == 20_000
    assert MULTI.minimum == 200_000
    assert not MULTI.is_over(60_180_000)
    assert MULTI.is_over(60_180_001)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale_interval_grams": 5_000}, "class III allows at most 10000 scale intervals"),
        ({"max_capacity_grams": 8_000_000}, "class III wants at least 500 scale intervals, 400"),
        ({"weighing": {"ranges": [[60_000_000, 10_000]]}}, "a greater maximum and interval"),
        ({"weighing": {"ranges": [[5_000_000, 10_000]]}}, "at least 500 intervals of the next"),
        ({"weighing": {"ranges": [[30_000_000, 7_000]]}}, "must be 1, 2 or 5 times"),
        ({"weighing": {"places": [[0, 0]]}}, "weighing.places: must be 4"),
    ],
)
def test_a_scale_that_its_class_does_not_allow_is_refused(
    change: dict[str, object], message: str
) -> None:
    """With what is allowed (3.2, 3.3.3, T.3.2)."""
    values = settings().model_dump() | change
    with pytest.raises(ValidationError, match=message):
        WeighbridgeSettings(**values)


@given(st.floats(-9_000_000, 9_000_000), st.lists(st.floats(-9_000_000, 9_000_000), max_size=20))
def test_zero_stays_within_its_ranges(first: float, wishes: list[float]) -> None:
    """20 % of Max for the initial zero, 4 % for all that comes after (4.5.1)."""
    zero = Zero(SINGLE)
    try:
        zero.set_initial(first)
    except CannotZero:
        assert abs(first) > 6_000_000
        assert not zero.is_set
        return
    assert abs(first) <= 6_000_000
    for wish in wishes:
        try:
            zero.set(wish)
        except CannotZero:
            assert abs(wish - first) > 1_200_000
        zero.track(wish, 0.1)
        assert abs(zero.offset - first) <= 1_200_000 * (1 + 1e-9)


@given(st.floats(-9_000, 9_000), st.floats(0.01, 1.0))
def test_zero_is_tracked_by_half_an_interval_a_second_at_most(load: float, seconds: float) -> None:
    """And never beyond the load (4.5.7)."""
    zero = Zero(SINGLE)
    zero.set_initial(0.0)
    zero.track(load, seconds)
    assert abs(zero.offset) <= min(abs(load), 10_000 * seconds) * (1 + 1e-9)
    assert zero.offset * load >= 0


def test_the_mark_of_zero_is_a_quarter_of_an_interval() -> None:
    """4.5.5, and 4.5.2: zero is right to a quarter of an interval after it was set."""
    zero = Zero(SINGLE)
    zero.set_initial(123_456.0)
    assert zero.is_at_zero(123_456.0 + 5_000)
    assert not zero.is_at_zero(123_456.0 + 5_001)


@given(st.integers(-100_000_000, 100_000_000))
def test_a_preset_tare_is_a_multiple_within_max(grams: int) -> None:
    """4.7.1; anything else is refused and changes nothing."""
    tare = Tare(SINGLE)
    try:
        tare.preset(grams)
    except CannotTare:
        assert tare.grams == 0
        assert not 0 < grams <= 60_000_000 or grams % 20_000
    else:
        assert (tare.grams, tare.kind) == (grams, "preset")
        assert grams % 20_000 == 0


def test_a_weighed_tare_is_what_the_scale_shows() -> None:
    """Rounded as a load is (4.6.2); nothing and too much are refused."""
    tare = Tare(SINGLE)
    tare.weigh(14_993_000)
    assert (tare.grams, tare.kind) == (15_000_000, "weighed")
    for load in (0.0, -50_000.0, 60_020_000.0):
        with pytest.raises(CannotTare, match="above 0 and at most 60000 kg"):
            tare.weigh(load)
    tare.clear()
    assert (tare.grams, tare.kind) == (0, None)


@pytest.mark.parametrize("kind", ["none", "average", "median", "exponential"])
@pytest.mark.parametrize("rate", [10.0, 50.0])
def test_a_filter_settles_in_the_time_that_it_states(kind: str, rate: float) -> None:
    """After a step it is within 1/10,000 from then on; it adds nothing to what stands still."""
    one = make_filter(kind, 1.5, rate)  # type: ignore[arg-type]
    for _ in range(200):
        assert one.push((5.0, 5.0)) == (5.0, 5.0)
    seen = [one.push((105.0, 5.0)) for _ in range(200)]
    late = seen[math.ceil(one.settling_seconds * rate) :]
    assert all(abs(first - 105.0) <= 100.0 * SETTLED for first, _ in late)
    assert all(second == pytest.approx(5.0) for _, second in seen)
    one.reset()
    assert one.push((1.0, 2.0)) == (1.0, 2.0)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60))
def test_stable_means_within_the_band_for_the_whole_window(weights: list[float]) -> None:
    """Compared with the definition, weight by weight."""
    watch = Stability(1000, 10.0)
    for place, weight in enumerate(weights):
        stable = watch.push(place * 100, weight)
        window = weights[max(0, place - 10) : place + 1]
        assert stable == (len(window) == 11 and max(window) - min(window) <= 10.0)


@given(st.floats(-1000, 40_000), st.floats(-40, 60))
def test_a_cell_without_corrections_shows_what_it_says(raw: float, celsius: float) -> None:
    """Grams of kilograms, at any temperature."""
    assert CellFactors().grams(raw, celsius) == pytest.approx(raw * 1000, abs=1e-6)


def test_linearity_is_a_straight_line_between_points() -> None:
    """And stays beyond them."""
    cell = CellFactors(linearity=((0.0, 0.0), (1000.0, 10.0), (2000.0, -10.0)))
    found = [cell.error_at(value) for value in (-5.0, 500.0, 1000.0, 1500.0, 2000.0, 9000.0)]
    assert found == [0.0, 5.0, 10.0, 0.0, -10.0, -10.0]
