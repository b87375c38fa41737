"""Vehicle names as people write them, and the form in which they are compared.

One truck is `BH-59-VJ` at one terminal and `bh 59 vj` at the next. The normalised form is NFKC,
without case, blanks, hyphens and dots. No other character goes: `AB/12` stays apart from `AB12`.
"""

import unicodedata

from steelyard.ticket import check_vehicle

ANY = "*"
MAX_PATTERN = 32

# By their codes, not by a property of Unicode: what counts must not change with the interpreter.
_BLANKS = " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
_HYPHENS = (
    "-\u00ad\u058a\u05be\u1400\u1806"
    + "".join(map(chr, range(0x2010, 0x2016)))  # hyphens, dashes, the horizontal bar
    + "\u2043\u2212\u2e3a\u2e3b\uff0d"
)
_DOTS = ".\u00b7\u2022\u2024\u2027\u2219\u22c5\u3002\u30fb\uff0e\uff61\uff65"
_DROPPED = dict.fromkeys(map(ord, _BLANKS + _HYPHENS + _DOTS))


def normalise_vehicle(name: str) -> str:
    """The form in which vehicles are compared; the same again for what has this form already.

    A name of nothing but blanks, hyphens and dots keeps them.
    """
    return _bare(name) or _fold(name)


class VehiclePattern:
    """Which vehicles a route is for: a name, with `*` for any run of characters, also none.

    Both sides are compared in the normalised form. Raises ValueError with what is allowed.
    """

    def __init__(self, text: str) -> None:
        if not 1 <= len(text) <= MAX_PATTERN:
            raise ValueError(f"must have 1 to {MAX_PATTERN} characters")
        check_vehicle(text)
        self._parts = [_bare(part) for part in text.split(ANY)]
        if len(self._parts) == 1:
            self._parts = [normalise_vehicle(text)]

    def matches(self, normalised: str) -> bool:
        """Whether a normalised name is one of these vehicles.

        The parts are looked for one after the other, each as far left as it can be: a regular
        expression could take a pattern of many `*` for the whole afternoon.
        """
        first, *between = self._parts
        if not between:
            return normalised == first
        last = between.pop()
        end = len(normalised) - len(last)
        if end < len(first) or not (normalised.startswith(first) and normalised.endswith(last)):
            return False
        at = len(first)
        for part in between:
            at = normalised.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


def _bare(name: str) -> str:
    bare = _fold(name).translate(_DROPPED)
    # What a dropped character kept apart may compose now (a letter and its accent).
    while (again := _fold(bare).translate(_DROPPED)) != bare:
        bare = again
    return bare


def _fold(name: str) -> str:
    """NFKC and no case, until neither changes anything (the Unicode Standard, 3.13, D147)."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    while (again := unicodedata.normalize("NFKC", folded).casefold()) != folded:
        folded = again
    return folded
