"""One weighbridge: from its cells' samples to indications, and to what a ticket is made of.

Nothing here waits, reads a clock or touches a disk: what happens follows from the samples and the
times that are given.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum, inf

from steelyard.smartbox.models import Sample
from steelyard.smartbox.weighing.align import Aligner, Frame
from steelyard.smartbox.weighing.curve import CellFactors
from steelyard.smartbox.weighing.cycle import Cycle, CycleLimits, Indication, Step
from steelyard.smartbox.weighing.degraded import Place, shares
from steelyard.smartbox.weighing.errors import CannotTare, CannotZero
from steelyard.smartbox.weighing.filtering import Filter
from steelyard.smartbox.weighing.reason import MOVES, NO_CELL, Reason
from steelyard.smartbox.weighing.scale import Scale
from steelyard.smartbox.weighing.stability import Stability
from steelyard.smartbox.weighing.tare import Tare
from steelyard.smartbox.weighing.watch import Watch, WatchLimits
from steelyard.smartbox.weighing.zero import Zero

WAITS_FOR_ZERO = Reason("waits-for-zero", "the bridge has not had its initial zero yet")
KEEPS_ZERO = Reason("keeps-zero", "a bridge with a lost cell keeps its zero")


@dataclass(frozen=True, slots=True)
class BridgePlan:
    """What a bridge is. `stable_window` in milliseconds, `stable_band` in grams."""

    name: str
    serials: tuple[str, ...]
    factors: tuple[CellFactors, ...]
    places: tuple[Place, ...]
    scale: Scale
    smoothing: Filter
    interval: int
    stable_window: int
    stable_band: float
    tracks_zero: bool
    may_degrade: bool
    watch: WatchLimits
    cycle: CycleLimits


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a ticket is made of: grams, and the raw samples behind them as evidence."""

    bridge: str
    time: int
    gross: int
    tare: int
    net: int
    tare_kind: str | None
    exact: float
    cells: tuple[tuple[str, int], ...]
    samples: tuple[Sample, ...]
    status: str
    zero: float
    vehicle: str | None


class Bridge:
    """A weighbridge at work. `start` in milliseconds."""

    def __init__(self, plan: BridgePlan, start: int) -> None:
        self.plan = plan
        self.watch = Watch(plan.serials, plan.watch, start)
        self.zero = Zero(plan.scale)
        self.tare = Tare(plan.scale)
        self.cycle = Cycle(plan.cycle)
        self.indication: Indication | None = None
        self.frame: Frame | None = None
        self.vehicle: str | None = None
        self.load = 0
        self._aligner = Aligner(len(plan.serials), plan.interval)
        self._stability = Stability(plan.stable_window, plan.stable_band)
        self._numbers = {serial: number for number, serial in enumerate(plan.serials)}
        self._celsius: list[float | None] = [None] * len(plan.serials)
        self._cell_zero = [0.0] * len(plan.serials)
        self._trusted: frozenset[int] = frozenset()
        self._smooth: tuple[float, ...] = ()
        self._zero_refused = ""

    def take(self, sample: Sample, now: int) -> Iterator[Weighed]:
        """Take a sample that arrived at `now`; what tickets are due."""
        number = self._numbers[sample.cell]
        if self.watch.accept(number, sample, now):
            self._aligner.push(number, sample, now)
        yield from self._advance()

    def tick(self, now: int) -> Iterator[Weighed]:
        """Look for silent cells; the others go on without them."""
        self.watch.tick(now)
        yield from self._advance()

    def rebase(self, now: int, step: int) -> None:
        """The SmartBox's clock was set: samples are ordered anew, and a load must settle anew."""
        self.watch.rebase(now, step)
        self._aligner = Aligner(len(self.plan.serials), self.plan.interval)
        self._forget_motion()
        self.cycle.interrupt()

    def warm(self, cell: str, celsius: float) -> None:
        """A cell's temperature."""
        self._celsius[self._numbers[cell]] = celsius

    def _advance(self) -> Iterator[Weighed]:
        for frame in self._aligner.frames(self.watch.faulty):
            due = self._see(frame)
            if due is not None:
                yield due
        if self.watch.faulty and not self._can_degrade():
            self._stop()

    def _see(self, frame: Frame) -> Weighed | None:
        plan = self.plan
        self.frame = frame
        forces = [
            None if raw is None else factors.grams(raw, celsius)
            for raw, factors, celsius in zip(frame.values, plan.factors, self._celsius, strict=True)
        ]
        self.watch.look(frame.time, frame.values, forces)
        trusted = self.watch.faulty
        if trusted != self._trusted:
            self._trusted = trusted
            self._forget_motion()
        complete = self._complete(forces, trusted)
        if complete is None:
            self._forget_motion()
            self._indicate(frame.time, None)
            return None
        return self._weigh(frame, complete)

    def _weigh(self, frame: Frame, forces: tuple[float, ...]) -> Weighed | None:
        self._smooth = self.plan.smoothing.push(forces)
        load = fsum(self._smooth)
        stable = self._stability.push(frame.time, load)
        if stable and not self.zero.is_set:
            self._set_initial_zero(load)
        elif stable and self.plan.tracks_zero and self._shows_zero(load):
            before = self.zero.offset
            self.zero.track(load, self.plan.interval / 1000)
            part = (self.zero.offset - before) / len(self._cell_zero)
            self._cell_zero = [zero + part for zero in self._cell_zero]
        seen = self._indicate(frame.time, load, stable=stable)
        was_loaded = self.cycle.step is not Step.EMPTY
        if self.cycle.push(seen):
            return self._weighed(frame, seen)
        if was_loaded and self.cycle.step is Step.EMPTY:
            # A tare and a vehicle belong to one load.
            self.tare.clear()
            self.vehicle = None
            self.load += 1
        return None

    def _complete(
        self, forces: list[float | None], faulty: frozenset[int]
    ) -> tuple[float, ...] | None:
        """The forces with the one of a lost cell estimated, if that may be."""
        if not faulty:
            known = tuple(force for force in forces if force is not None)
            return known if len(known) == len(forces) else None
        if not self._can_degrade():
            return None
        (missing,) = faulty
        weights = shares(self.plan.places, missing)
        if weights is None:
            return None
        net: list[float] = []
        for number, force in enumerate(forces):
            if number == missing:
                net.append(0.0)
            elif force is None:
                return None
            else:
                net.append(force - self._cell_zero[number])
        estimate = fsum(w * one for w, one in zip(weights, net, strict=True))
        net[missing] = estimate
        return tuple(one + zero for one, zero in zip(net, self._cell_zero, strict=True))

    def _can_degrade(self) -> bool:
        faulty = self.watch.faulty
        if not self.plan.may_degrade or len(faulty) != 1 or not self.zero.is_set:
            return False
        return shares(self.plan.places, next(iter(faulty))) is not None

    def _indicate(self, time: int, load: float | None, *, stable: bool = False) -> Indication:
        scale, faulty = self.plan.scale, self.watch.faulty
        fault = self.watch.sentence() if faulty and not self._can_degrade() else ""
        if not fault and not self.zero.is_set:
            fault = self._zero_refused or WAITS_FOR_ZERO
        gross = 0.0 if load is None else load - self.zero.offset
        zeros = self._cell_zero
        cells = self._smooth if load is not None else (0.0,) * len(zeros)
        self.indication = Indication(
            time=time,
            gross=gross,
            cells=tuple(force - zero for force, zero in zip(cells, zeros, strict=True)),
            stable=stable,
            moving=inf if load is None else self._stability.moving,
            zero=load is not None and self.zero.is_set and self.zero.is_at_zero(load),
            overload=scale.is_over(gross),
            underload=scale.is_under(gross),
            fault=fault,
            degraded=bool(faulty) and not fault,
        )
        return self.indication

    def _stop(self) -> None:
        """A fault without a frame: a silent bridge must not go on showing its last weight."""
        time = self.indication.time if self.indication else 0
        self._forget_motion()
        self.cycle.push(self._indicate(time, None))

    def _forget_motion(self) -> None:
        self.plan.smoothing.reset()
        self._stability.reset()

    def _shows_zero(self, load: float) -> bool:
        return self.plan.scale.rounded(load - self.zero.offset) == 0

    def _set_initial_zero(self, load: float) -> None:
        try:
            self.zero.set_initial(load)
        except CannotZero as problem:
            self._zero_refused = problem.detail
            return
        self._cell_zero = list(self._smooth)
        self.watch.refer_to(self._smooth)

    def set_zero(self) -> None:
        """Zero at the operator's wish (4.5.4): stable, and a tare is forgotten. CannotZero."""
        reason = self.zero_refusal()
        if reason is not None or self.indication is None:
            raise CannotZero(reason or NO_CELL)
        self.zero.set(fsum(self._smooth))
        self._cell_zero = list(self._smooth)
        self.tare.clear()
        self._indicate(self.indication.time, fsum(self._smooth), stable=True)

    def zero_refusal(self) -> str | None:
        """Why zero cannot be set now; None when it can."""
        reason = self._unsettled()
        if reason is None and self.indication is not None and self.indication.degraded:
            return KEEPS_ZERO
        return reason or self.zero.refusal(fsum(self._smooth))

    def weigh_tare(self) -> None:
        """Take the load on the bridge as tare (4.6.8). Raises CannotTare."""
        reason = self.tare_refusal()
        if reason is not None or self.indication is None:
            raise CannotTare(reason or NO_CELL)
        self.tare.weigh(self.indication.gross)

    def tare_refusal(self) -> str | None:
        """Why what stands on the bridge cannot be a tare now; None when it can."""
        reason = self._unsettled()
        if reason is None and self.indication is not None:
            reason = self.tare.refusal(self.indication.gross)
        return reason

    def _unsettled(self) -> str | None:
        seen = self.indication
        if seen is None:
            return NO_CELL
        if seen.fault and seen.fault != self._zero_refused:
            return seen.fault
        return None if seen.stable else MOVES

    def celsius(self) -> dict[str, float | None]:
        """The cells' temperatures by their serials."""
        return dict(zip(self.plan.serials, self._celsius, strict=True))

    def _weighed(self, frame: Frame, seen: Indication) -> Weighed:
        plan, tare = self.plan, self.tare.grams
        # 3.3.4: a multi-interval scale's ranges are those of the net load; the gross follows.
        net = plan.scale.rounded(seen.gross - self.tare.exact)
        gross = net + tare
        return Weighed(
            bridge=plan.name,
            time=frame.time,
            gross=gross,
            tare=tare,
            net=net,
            tare_kind=self.tare.kind,
            exact=seen.gross,
            cells=tuple(
                (serial, round(grams))
                for serial, grams in zip(plan.serials, seen.cells, strict=True)
            ),
            samples=tuple(
                sample
                for number, sample in enumerate(frame.samples)
                if sample is not None and number not in self._trusted
            ),
            status=self._status(gross, seen),
            zero=self.zero.offset,
            vehicle=self.vehicle,
        )

    def _status(self, gross: int, seen: Indication) -> str:
        if seen.degraded:
            return "degraded"
        if gross > self.plan.scale.maximum:
            return "overload"
        return "below-min" if gross < self.plan.scale.minimum else "ok"
