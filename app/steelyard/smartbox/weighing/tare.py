"""Tare, weighed or preset (OIML R 76-1, 4.6 and 4.7)."""

from typing import Literal

from steelyard.smartbox.weighing.errors import CannotTare
from steelyard.smartbox.weighing.reason import Reason
from steelyard.smartbox.weighing.scale import Scale

Kind = Literal["weighed", "preset"]


class Tare:
    """The tare of one scale, in grams; subtractive: Max stays Max of the gross (4.6.6).

    `grams` is what stands on the ticket, a multiple of the interval; `exact` is what is taken off,
    so that zero is shown right to a quarter of an interval after taring (4.6.3).
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self.grams = 0
        self.exact = 0.0
        self.kind: Kind | None = None

    def weigh(self, gross: float) -> None:
        """Take what is on the scale as tare (4.6.8). Raises CannotTare.

        The caller sees to it that the equilibrium is stable.
        """
        reason = self.refusal(gross)
        if reason is not None:
            raise CannotTare(reason)
        self.grams, self.exact, self.kind = self._scale.rounded(gross), gross, "weighed"

    def refusal(self, gross: float) -> Reason | None:
        """Why what is on the scale cannot be a tare; None when it can."""
        grams = self._scale.rounded(gross)
        if 0 < grams <= self._scale.maximum:
            return None
        return Reason(
            "tare-range",
            f"a tare must be above 0 and at most {self._scale.maximum / 1000:g} kg; the scale "
            f"shows {grams / 1000:g} kg",
            limit=self._scale.maximum,
            load=grams,
        )

    def preset(self, grams: int) -> None:
        """Take a known tare (4.7): a multiple of the interval (4.7.1). Raises CannotTare."""
        interval = self._scale.interval_at(grams)
        if not 0 < grams <= self._scale.maximum or grams % interval:
            raise CannotTare(
                Reason(
                    "preset-tare-range",
                    f"a preset tare must be a multiple of {interval / 1000:g} kg, above 0 and at "
                    f"most {self._scale.maximum / 1000:g} kg",
                    interval=interval,
                    limit=self._scale.maximum,
                )
            )
        self.grams, self.exact, self.kind = grams, float(grams), "preset"

    def clear(self) -> None:
        """No tare."""
        self.grams, self.exact, self.kind = 0, 0.0, None
