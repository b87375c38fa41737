"""Why something cannot be done now."""

from collections.abc import Mapping
from typing import Any


class Reason(str):
    """A reason: the sentence itself, with a code by which a display says it in its own language.

    `values` are what stands in the sentence: weights in grams, serials.
    """

    __slots__ = ("code", "values")

    code: str
    values: Mapping[str, Any]

    def __new__(cls, code: str, sentence: str, **values: Any) -> "Reason":
        """A reason from its code, its sentence in English, and what stands in it."""
        made = super().__new__(cls, sentence)
        made.code, made.values = code, values
        return made

    def as_json(self) -> dict[str, Any]:
        """The code, the sentence in English, the values."""
        return {"code": self.code, "text": str(self), "values": dict(self.values)}


NO_CELL = Reason("no-cell", "no cell has spoken yet")
MOVES = Reason("moves", "the load moves")
