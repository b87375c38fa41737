"""Zero: at the start, by the operator, and tracked (OIML R 76-1, 4.5).

Loads are grams by the calibration; what a zero device takes off is `offset`.
"""

from math import isfinite

from steelyard.smartbox.weighing.errors import CannotZero
from steelyard.smartbox.weighing.reason import Reason
from steelyard.smartbox.weighing.scale import Scale

INITIAL_PART = 0.20  # of Max, the whole range of the initial zero-setting device (4.5.1)
ZERO_PART = 0.04  # of Max, that of zero-setting and zero-tracking together (4.5.1)
TRACK_INTERVALS_A_SECOND = 0.5  # (4.5.7)
AT_ZERO_PART = 0.25  # of e, how exact a zero is (4.5.2) and what the mark of zero says (4.5.5)


class Zero:
    """The zero of one scale. Each range lies half above and half below: half of it is a limit."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self.offset = 0.0
        self._initial: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether the scale had its initial zero: before, it weighs nothing."""
        return self._initial is not None

    def set_initial(self, load: float) -> None:
        """Take the load on the scale at the start as zero (T.2.7.2.4). Raises CannotZero."""
        self._allow(load)
        self._initial = self.offset = load

    def set(self, load: float) -> None:
        """Take the load as zero at the operator's wish (T.2.7.2.2). Raises CannotZero.

        The caller sees to it that the equilibrium is stable (4.5.4).
        """
        if self._initial is None:
            self.set_initial(load)
            return
        self._allow(load)
        self.offset = load

    def track(self, load: float, seconds: float) -> None:
        """Follow a slow drift of zero (T.2.7.3): by 0.5 d a second at most, in 4 % of Max.

        The caller sees to it that zero is indicated and the equilibrium is stable (4.5.7).
        """
        if self._initial is None:
            return
        most = TRACK_INTERVALS_A_SECOND * self._scale.finest * seconds
        wanted = self.offset + min(most, max(-most, load - self.offset))
        half = ZERO_PART / 2 * self._scale.maximum
        self.offset = min(self._initial + half, max(self._initial - half, wanted))

    def is_at_zero(self, load: float) -> bool:
        """Whether the load is zero to a quarter of an interval (4.5.5)."""
        return abs(load - self.offset) <= AT_ZERO_PART * self._scale.finest

    def refusal(self, load: float) -> Reason | None:
        """Why the load cannot be taken as zero; None when it can."""
        first = self._initial is None
        name, part = ("the initial zero", INITIAL_PART) if first else ("zero", ZERO_PART)
        half, away = part / 2 * self._scale.maximum, load - (self._initial or 0.0)
        if abs(away) <= half:
            return None
        return Reason(
            "initial-zero-range" if first else "zero-range",
            f"{name} must be within {half / 1000:g} kg of where it was set before; the scale "
            f"carries {away / 1000:.1f} kg",
            limit=round(half),
            load=self._scale.rounded(away) if isfinite(away) else None,
        )

    def _allow(self, load: float) -> None:
        reason = self.refusal(load)
        if reason is not None:
            raise CannotZero(reason)
