"""One load cell's signal as the force on it: zero, span, linearity, temperature, corner."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

GRAMS_PER_KILOGRAM = 1000.0


@dataclass(frozen=True, slots=True)
class CellFactors:
    """What makes a cell's raw kilograms right.

    `linearity` holds points (kilograms shown, kilograms shown too much) between which the error
    is a straight line, and beyond which it stays; they, like the temperature's effects, stand in
    the cell's certificate (OIML R 60 tests them). `zero_per_kelvin` is in kilograms,
    `span_per_kelvin` a fraction, both counted from `reference_celsius`.
    """

    zero: float = 0.0
    span: float = 1.0
    corner: float = 1.0
    linearity: tuple[tuple[float, float], ...] = ()
    zero_per_kelvin: float = 0.0
    span_per_kelvin: float = 0.0
    reference_celsius: float = 20.0

    def before_factors(self, raw: float, celsius: float | None) -> float:
        """Kilograms with the certificate's corrections, before zero, span and corner."""
        warmer = 0.0 if celsius is None else celsius - self.reference_celsius
        value = (raw - self.zero_per_kelvin * warmer) / (1.0 + self.span_per_kelvin * warmer)
        return value - self.error_at(value)

    def grams(self, raw: float, celsius: float | None = None) -> float:
        """The force on the cell in grams. Without a temperature it is taken as the reference."""
        value = self.before_factors(raw, celsius)
        return (value - self.zero) * self.span * self.corner * GRAMS_PER_KILOGRAM

    def error_at(self, value: float) -> float:
        """How many kilograms too many the cell shows there, between the points of linearity."""
        points = self.linearity
        if not points:
            return 0.0
        place = bisect_right(points, value, key=lambda point: point[0])
        if place == 0:
            return points[0][1]
        if place == len(points):
            return points[-1][1]
        (left, low), (right, high) = points[place - 1], points[place]
        return low + (high - low) * (value - left) / (right - left)


def points_rise(points: tuple[tuple[float, float], ...]) -> bool:
    """Whether the points stand in order, none twice."""
    return all(one[0] < other[0] for one, other in pairwise(points))
