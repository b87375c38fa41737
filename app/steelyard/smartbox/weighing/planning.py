"""A weighbridge's settings as the plan of a bridge at work."""

from steelyard.smartbox.settings import CellSettings, WeighbridgeSettings, WeighingSettings
from steelyard.smartbox.weighing.bridge import BridgePlan
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.cycle import CycleLimits
from steelyard.smartbox.weighing.degraded import grid
from steelyard.smartbox.weighing.filtering import make_filter
from steelyard.smartbox.weighing.scale import Scale
from steelyard.smartbox.weighing.watch import WatchLimits

ABSURD_PART = 1.5  # of Max: no cell of a bridge carries more than all of it may
STUCK_INTERVALS = 20
ROLLING_INTERVALS = 20


def factors_of(cell: CellSettings) -> CellFactors:
    """The factors that stand in the settings."""
    return CellFactors(zero=float(cell.zero), span=float(cell.span), corner=float(cell.corner))


def make_plan(
    settings: WeighbridgeSettings, factors: tuple[CellFactors, ...] | None = None
) -> BridgePlan:
    """The plan of a weighbridge that weighs by a cycle.

    `factors` are a calibration's, in the order of the cells; else those of the settings.
    """
    weighing = settings.weighing or WeighingSettings()
    scale = settings.scale()
    if factors is None:
        factors = tuple(factors_of(cell) for cell in settings.cells)
    load = float(weighing.load_grams or scale.minimum)
    return BridgePlan(
        name=settings.name,
        serials=tuple(cell.serial for cell in settings.cells),
        factors=factors,
        places=weighing.places or grid(len(settings.cells)),
        scale=scale,
        smoothing=make_filter(weighing.filter, weighing.filter_seconds, weighing.rate_hz),
        interval=round(1000 / weighing.rate_hz),
        stable_window=round(weighing.stable_seconds * 1000),
        stable_band=weighing.stable_intervals * scale.finest,
        tracks_zero=weighing.zero_tracking,
        may_degrade=weighing.degraded,
        watch=_watch(weighing, scale, factors),
        cycle=CycleLimits(
            load=load,
            empty=load / 2,
            rolling=float(ROLLING_INTERVALS * scale.finest),
            hold=round(weighing.hold_seconds * 1000),
            automatic=weighing.mode == "automatic",
        ),
    )


def _watch(
    weighing: WeighingSettings, scale: Scale, factors: tuple[CellFactors, ...]
) -> WatchLimits:
    furthest = max(abs(one.zero) for one in factors)
    least = min(one.span * one.corner for one in factors)
    return WatchLimits(
        silence=round(weighing.silence_seconds * 1000),
        clock=round(weighing.clock_seconds * 1000),
        absurd=furthest + ABSURD_PART * scale.maximum / 1000 / least,
        stuck_time=round(weighing.fault_seconds * 1000),
        stuck_move=float(STUCK_INTERVALS * scale.finest),
        drift=weighing.drift_intervals * scale.finest,
        drift_time=round(weighing.fault_seconds * 1000),
    )
