"""The display's texts in its languages, and how it writes weights and times.

The catalogues are JSON files in texts/: a key, and a sentence with `{places}` for values. The pages
read the same files.
"""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from steelyard.errors import InvalidRequest

TEXTS = Path(__file__).parent / "texts"
LANGUAGES = ("en", "pt", "de")
_DECIMAL_SIGN = {"en": ".", "pt": ",", "de": ","}
# Groups of digits are parted by a blank that does not break (ISO 80000-1, 7.3.1): a point or a
# comma would be a decimal sign to somebody.
_GROUP = "\u00a0"


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of a language."""
    texts: dict[str, str] = json.loads((TEXTS / f"{language}.json").read_text("utf-8"))
    return texts


def check_language(language: str) -> str:
    """The language. Raises InvalidRequest for one that the display does not speak."""
    if language not in LANGUAGES:
        raise InvalidRequest(f"lang: must be one of {', '.join(LANGUAGES)}")
    return language


class Words:
    """What is said in one language; times are said in the zone."""

    def __init__(self, language: str, zone: str) -> None:
        self.language = language
        self._texts = catalogue(language)
        self._zone = ZoneInfo(zone)

    def say(self, key: str, **values: object) -> str:
        """The text of a key."""
        return self._texts[key].format_map(values)

    def status(self, word: str) -> str:
        """A ticket's status; one that is not known as it is."""
        return self._texts.get(f"status.{word}", word)

    def kilograms(self, grams: int, decimals: int | None = None) -> str:
        """A weight in kg, exactly; with so many decimals at least."""
        whole, rest = divmod(abs(grams), 1000)
        fraction = f"{rest:03}".rstrip("0").ljust(decimals or 0, "0")
        sign = "\u2212" if grams < 0 else ""
        grouped = f"{whole:,}".replace(",", _GROUP)
        mark = _DECIMAL_SIGN[self.language] if fraction else ""
        return f"{sign}{grouped}{mark}{fraction}{_GROUP}kg"

    def moment(self, milliseconds: int) -> str:
        """A time in the zone, to the second, with how far it is from UTC."""
        there = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(self._zone)
        return f"{there:%Y-%m-%d %H:%M:%S} (UTC{there:%z})".replace("+0000)", ")")
