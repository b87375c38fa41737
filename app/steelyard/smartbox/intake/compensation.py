"""From raw samples to grams, in exact arithmetic.

No value passes through a float: the factors are decimals, the sum is a fraction, and rounding
happens once for the ticket's gross and once for each cell.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from steelyard.smartbox.models import Sample, Weight
from steelyard.smartbox.settings import CellSettings, WeighbridgeSettings

GRAMS_PER_KILOGRAM = 1000


def compensate(cell: CellSettings, raw: Decimal) -> Fraction:
    """The cell's weight in grams: (raw - zero) * span * corner."""
    unloaded = Fraction(raw) - Fraction(cell.zero)
    return unloaded * Fraction(cell.span) * Fraction(cell.corner) * GRAMS_PER_KILOGRAM


def round_to(value: Fraction, interval: int) -> int:
    """The nearest multiple of `interval`; a tie goes away from zero."""
    steps = abs(value) / interval + Fraction(1, 2)
    rounded = steps.numerator // steps.denominator * interval
    return -rounded if value < 0 else rounded


def weigh(bridge: WeighbridgeSettings, samples: Iterable[Sample]) -> Weight:
    """Sum what the cells carry. The gross is rounded from the exact sum, not from rounded cells."""
    settings = {cell.serial: cell for cell in bridge.cells}
    weights = [(sample.cell, compensate(settings[sample.cell], sample.raw)) for sample in samples]
    total = sum((grams for _, grams in weights), Fraction(0))
    return Weight(
        gross=round_to(total, bridge.scale_interval_grams),
        cells=tuple((serial, round_to(grams, 1)) for serial, grams in weights),
    )
