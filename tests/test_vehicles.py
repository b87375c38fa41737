"""Vehicle names are the same, or not, whoever wrote them and however often they are normalised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.vehicles import VehiclePattern, normalise_vehicle

SAME = [
    "BH-59-VJ",
    "bh-59-vj",
    "BH 59 VJ",
    "BH59VJ",
    "bh.59.vj",
    "BH‑59‑VJ",  # non-breaking hyphens
    "BH–59—VJ",  # dashes
    "BH\u00ad59\u00adVJ",  # soft hyphens
    "ＢＨ－５９－ＶＪ",  # full width
    "BH·59·VJ",
    "BH\u00a059\u202fVJ",
]


@pytest.mark.parametrize("name", SAME)
def test_spellings_of_one_vehicle(name: str) -> None:
    """Case, blanks, hyphens, dots and width make no other vehicle."""
    assert normalise_vehicle(name) == "bh59vj"


@pytest.mark.parametrize(
    ("one", "other"),
    [("AB12", "AB21"), ("AB/12", "AB12"), ("O1", "01"), ("I1", "l1"), ("Ä1", "A1"), ("-", ".")],
)
def test_vehicles_that_stay_apart(one: str, other: str) -> None:
    """What only looks alike, and other characters, make another vehicle."""
    assert normalise_vehicle(one) != normalise_vehicle(other)


def test_letters_are_composed_and_folded() -> None:
    """An accent of its own, ligatures and the two sigmas are the same as their plain forms."""
    assert normalise_vehicle("A\u0308 1") == normalise_vehicle("ä1")
    assert normalise_vehicle("ﬁ") == "fi"
    assert normalise_vehicle("Σ") == normalise_vehicle("ς")
    assert normalise_vehicle("STRASSE") == normalise_vehicle("straße")


@given(st.text(min_size=1, max_size=32))
def test_normalised_once_is_normalised(name: str) -> None:
    """A second time changes nothing, and nothing becomes empty."""
    once = normalise_vehicle(name)
    assert once
    assert normalise_vehicle(once) == once


@given(st.text(alphabet="ab-* ", min_size=1, max_size=8), st.text(alphabet="ab", max_size=8))
def test_patterns_as_defined(text: str, name: str) -> None:
    """A pattern matches what its definition, tried one character after the other, says."""
    try:
        pattern = VehiclePattern(text)
    except ValueError:
        return
    parts = text.replace("-", "").replace(" ", "")

    def fits(rest: str, left: str) -> bool:
        if not rest:
            return not left
        if rest[0] == "*":
            return any(fits(rest[1:], left[at:]) for at in range(len(left) + 1))
        return bool(left) and rest[0] == left[0] and fits(rest[1:], left[1:])

    if parts:
        assert pattern.matches(name) == fits(parts, name)


def test_a_pattern_of_many_stars_is_quick() -> None:
    """No pattern takes more than a walk through the name."""
    assert not VehiclePattern("*a" * 16).matches("a" * 15 + "b" * 500)


@pytest.mark.parametrize("text", ["", "x" * 33, " a", "a\u200bb", "é" * 17])
def test_a_pattern_is_a_vehicles_text(text: str) -> None:
    """What no vehicle can be is no pattern either."""
    with pytest.raises(ValueError, match="must"):
        VehiclePattern(text)
