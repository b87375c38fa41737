"""The display's texts: complete in every language, and nothing in them that is not used."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import InvalidRequest
from steelyard.smartbox.display.assets import ASSETS
from steelyard.smartbox.display.words import LANGUAGES, TEXTS, Words, catalogue, check_language
from steelyard.smartbox.weighing.cycle import Step
from steelyard.smartbox.weighing.watch import Fault

ROOM = Path(__file__).parents[3] / "app" / "steelyard" / "smartbox"
STATES = ("fault", "overload", "underload", "motion", "zero", "stable", "old")
FAMILIES = ("done", "button", "why", "fault", "state", "step", "ledger", "status", "alarm", "link")


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{([a-z]+)\}", text))


def used() -> set[str]:
    """Every key that stands in a page, a script or the Python code as a whole."""
    sources = [path.read_text("utf-8") for path in ASSETS.iterdir() if path.suffix != ".svg"]
    sources += [path.read_text("utf-8") for path in (ROOM / "display").glob("*.py")]
    found: set[str] = set()
    for source in sources:
        found |= set(re.findall(r'"([a-z-]+\.[a-z-]+)"', source))
    return {key for key in found if not key.endswith((".js", ".json", ".html", ".pdf", ".svg"))}


def reason_codes() -> set[str]:
    """The code of every `Reason(...)` in the SmartBox's code."""
    codes: set[str] = set()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason":
                first = node.args[0]
                options = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                codes |= {one.value for one in options if isinstance(one, ast.Constant)}
    return codes - {""}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_in_any_language(language: str) -> None:
    """The same keys, none of them empty, each with the places of the English text."""
    english, texts = catalogue("en"), catalogue(language)
    assert list(texts) == sorted(english)
    assert [key for key, text in texts.items() if not text.strip()] == []
    differing = [key for key in texts if places(texts[key]) != places(english[key])]
    assert differing == []


def test_every_language_has_its_file() -> None:
    """And no file is there that nobody can choose."""
    assert {path.stem for path in TEXTS.iterdir()} == set(LANGUAGES)
    page = (ASSETS / "display.html").read_text("utf-8")
    assert set(re.findall(r'<option value="([a-z]{2})"', page)) == set(LANGUAGES)


def test_every_text_that_is_used_is_there_and_the_other_way_round() -> None:
    """A key that a page, a script or the code names; families are made of codes."""
    known = set(catalogue("en"))
    named = {key for key in used() if key.split(".")[0] in {one.split(".")[0] for one in known}}
    assert named - known == set()
    unused = {key for key in known - named if key.split(".")[0] not in FAMILIES}
    assert unused == set()


def test_every_code_of_the_scale_has_its_text() -> None:
    """Faults, states, steps, reasons, the states of tickets: none is shown as a bare code."""
    known = set(catalogue("en"))
    wanted = {f"fault.{fault}" for fault in get_args(Fault)}
    wanted |= {f"state.{state}" for state in STATES}
    wanted |= {f"step.{step}" for step in Step}
    wanted |= {f"why.{code}" for code in reason_codes()}
    wanted |= {
        f"ledger.{state}" for state in ("queued", "sending", "registered", "refused", "dismissed")
    }
    wanted |= {f"status.{status}" for status in ("ok", "overload", "below-min", "degraded")}
    assert wanted - known == set()
    assert "moves" in reason_codes()
    assert "initial-zero-range" in reason_codes()


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(LANGUAGES), st.integers(0, 3))
def test_a_weight_is_written_exactly(grams: int, language: str, decimals: int) -> None:
    """Whoever reads it back has the same grams."""
    text = Words(language, "UTC").kilograms(grams, decimals)
    assert text.endswith("\u00a0kg")
    plain = text.removesuffix("\u00a0kg").replace("\u00a0", "").replace("\u2212", "-")
    whole, _, fraction = plain.replace(",", ".").partition(".")
    assert len(fraction) >= decimals
    sign = -1 if whole.startswith("-") else 1
    assert int(whole) * 1000 + sign * int((fraction or "0").ljust(3, "0")) == grams


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "31\u00a0240.5\u00a0kg"),
        ("pt", "31\u00a0240,5\u00a0kg"),
        ("de", "31\u00a0240,5\u00a0kg"),
    ],
)
def test_the_decimal_sign_is_the_language_s(language: str, text: str) -> None:
    """Groups are parted by a blank in all of them."""
    assert Words(language, "UTC").kilograms(31_240_500) == text


def test_a_time_is_the_zone_s() -> None:
    """With its distance from UTC, so that nobody has to guess."""
    time = 1_605_160_889_392
    assert Words("en", "UTC").moment(time) == "2020-11-12 06:01:29 (UTC)"
    assert Words("en", "Europe/Berlin").moment(time) == "2020-11-12 07:01:29 (UTC+0100)"


def test_an_unknown_language_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(InvalidRequest, match="lang: must be one of en, pt, de"):
        check_language("fr")
