"""Weighbridges that weigh by a cycle: their samples, the operator's wishes, their tickets.

A sample of a stream is answered when it is taken into memory: by itself it is worth nothing, and a
cell that lost its answer has newer ones. What must last, the ticket and its evidence, is in both
books before anyone hears of it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from pydantic import ValidationError
from structlog import get_logger

from steelyard.smartbox.errors import StorageFull, StorageUnavailable, UnknownCell
from steelyard.smartbox.intake.passes import UNDATED, join_passes
from steelyard.smartbox.intake.station import Station
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.recorder import Recorder
from steelyard.smartbox.room import ALARM as DISK_FULL
from steelyard.smartbox.settings import WeighbridgeSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.timing import Stamp
from steelyard.smartbox.weighing.bridge import Bridge, Weighed
from steelyard.smartbox.weighing.calibration import Calibration
from steelyard.smartbox.weighing.cycle import HAS_TICKET, Step
from steelyard.smartbox.weighing.errors import CannotWeigh, NoSuchWeighbridge
from steelyard.smartbox.weighing.planning import make_plan
from steelyard.smartbox.weighing.reason import Reason
from steelyard.smartbox.weighing.shown import show
from steelyard.ticket import CellWeight, Ticket, check_vehicle

log = get_logger(__name__)

TICK_SECONDS = 0.5
OLD_MS = 2000  # a weight that is older is not shown, and nothing rests on it
CELL_FAULT = "cell-fault"
NOT_SEEN_WHOLE = "load-grew"
UNDATED_FIRST = "undated-first-pass"


class LiveStation:
    """The weighbridges of a station that have a cycle.

    `clock` gives milliseconds since the epoch: the SmartBox's, by which everything is ordered.
    `stamp` gives what stands behind a time by that clock.
    `on_ticket` and `on_failure` are as for `Station`; `on_change` is called when something else
    is to be shown, and at least every TICK_SECONDS.
    """

    def __init__(  # noqa: PLR0913 - whom it tells of what happens: each is another's business
        self,
        recorder: Recorder,
        bridges: Iterable[tuple[WeighbridgeSettings, Calibration | None]],
        terminal: tuple[str, str, int],
        status: Status,
        clock: Callable[[], int],
        *,
        stamp: Callable[[int], Stamp],
        on_ticket: Callable[[], None],
        on_failure: Callable[[BaseException], None],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._recorder = recorder
        self._stamp = stamp
        self._station, self._terminal_serial, self._restart = terminal
        self._status = status
        self._clock = clock
        self._on_ticket = on_ticket
        self._on_failure = on_failure
        self._on_change = on_change
        self._bridges: dict[str, Bridge] = {}
        self._settings: dict[str, WeighbridgeSettings] = {}
        self._calibrations: dict[str, Calibration | None] = {}
        self._bridge_of: dict[str, Bridge] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None
        for settings, calibration in bridges:
            factors = calibration.factors if calibration else None
            bridge = Bridge(make_plan(settings, factors), clock())
            self._bridges[settings.name] = bridge
            self._settings[settings.name] = settings
            self._calibrations[settings.name] = calibration
            self._bridge_of |= dict.fromkeys(bridge.plan.serials, bridge)

    @property
    def names(self) -> tuple[str, ...]:
        """The weighbridges' names."""
        return tuple(self._bridges)

    def start(self) -> None:
        """Begin to look for silent cells."""
        self._ticking = asyncio.get_running_loop().create_task(self._tick(), name="tick")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Look for silent cells, and for room on the disk, now."""
        self._look_for_room()
        for bridge in self._bridges.values():
            self._go_on(bridge, bridge.tick(self._clock()))
        self._on_change()

    def _look_for_room(self) -> None:
        """A full disk stops the tickets, not the weighing: a load that stands still gets its own
        once there is room.
        """
        if not self._bridges:
            return
        problem = self._recorder.storage.room.problem()
        if problem is None:
            self._status.clear_alarm(DISK_FULL)
        else:
            self._status.raise_alarm(DISK_FULL, f"no tickets are issued: {problem}")
        for bridge in self._bridges.values():
            bridge.cycle.obstacle = problem or ""

    def rebase(self, step: int) -> None:
        """The clock was set: what was seen by the old time does not go with what comes now."""
        for bridge in self._bridges.values():
            bridge.rebase(self._clock(), step)

    def streams(self, cell: str) -> bool:
        """Whether a cell is one of these."""
        return cell in self._bridge_of

    def take_stream(self, samples: Sequence[Sample]) -> None:
        """Take one cell's samples, which came together. Raises UnknownCell."""
        if not samples:
            return
        cell, now = samples[0].cell, self._clock()
        bridge = self._bridge_of.get(cell)
        if bridge is None:
            raise UnknownCell(f"cell {cell} stands under no weighbridge of this station")
        self._status.saw(cell)
        self._status.count("samples_taken", len(samples))
        self._go_on(bridge, chain.from_iterable(bridge.take(one, now) for one in samples))

    async def take(self, sample: Sample) -> None:
        """Take a sample; there is nothing to wait for. Raises UnknownCell."""
        self.take_stream([sample])

    def warm(self, cell: str, celsius: float) -> None:
        """Take a cell's temperature; nothing for a cell that is not here."""
        bridge = self._bridge_of.get(cell)
        if bridge is not None:
            bridge.warm(cell, celsius)

    def _go_on(self, bridge: Bridge, due: Iterable[Weighed]) -> None:
        before = bridge.indication
        for weighed in due:
            stamp = self._stamp(weighed.time)
            task = asyncio.get_running_loop().create_task(self._emit(weighed, stamp))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        name = bridge.plan.name
        if bridge.watch.faulty:
            self._status.raise_alarm(f"{CELL_FAULT}:{name}", bridge.watch.sentence())
        else:
            self._status.clear_alarm(f"{CELL_FAULT}:{name}")
        if bridge.cycle.grew:
            self._status.raise_alarm(
                f"{NOT_SEEN_WHOLE}:{name}",
                "the load grew after its ticket: was the whole vehicle on the bridge?",
            )
        if bridge.indication is not before:
            self._on_change()

    async def _emit(self, weighed: Weighed, stamp: Stamp) -> None:
        try:
            note = await self._recorder.run(self._record, weighed, stamp)
        except StorageFull as full:
            # It was not issued, and nobody was told so: the load may get it yet.
            bridge = self._bridges[weighed.bridge]
            bridge.cycle.obstacle = full.detail
            bridge.cycle.take_back()
            self._status.count("tickets_without_room")
            self._status.raise_alarm(DISK_FULL, f"no tickets are issued: {full.detail}")
            return
        self._status.count("tickets")
        self._status.clear_alarm(f"{NOT_SEEN_WHOLE}:{weighed.bridge}")
        self._tell_undated(weighed, note, stamp)
        self._on_ticket()

    def _tell_undated(self, weighed: Weighed, note: dict[str, Any], stamp: Stamp) -> None:
        """Until the time is known the alarm stays, with the last such pair; the log has each."""
        name = f"{UNDATED_FIRST}:{weighed.bridge}"
        if UNDATED in note:
            log.warning("a pair of weighings is not sure", first=note[UNDATED], time=weighed.time)
            self._status.raise_alarm(
                name,
                f"how old the first weighing of {weighed.vehicle} ({note[UNDATED]}) is cannot be "
                "told, it may be of another visit: the ticket has no tare",
            )
        elif stamp.known:
            self._status.clear_alarm(name)

    def _record(self, weighed: Weighed, stamp: Stamp) -> dict[str, Any]:
        """In the storage's thread: the vehicle's first pass may be needed, also one that waits
        for its place in the outbox. What is said of the pass.
        """
        storage = self._recorder.storage
        storage.mend()
        settings = self._settings[weighed.bridge]
        joined, note = weighed, dict[str, Any]()
        if settings.weighing is not None and settings.weighing.passes > 1:
            joined, note = join_passes(
                weighed, stamp, storage.outbox, hours=settings.weighing.first_pass_hours
            )
        draft = self._ticket(joined, settings)
        calibration = self._calibrations[weighed.bridge]
        details: dict[str, Any] = {
            "calibration": calibration.mark() if calibration else None,
            "exact_grams": round(weighed.exact, 3),
            "zero_grams": round(weighed.zero, 3),
            "tare": joined.tare_kind,
            **note,
        }
        if not stamp.known:
            details["clock"] = stamp.mark()
        moment = Moment(weighed.bridge, weighed.time)
        storage.record(Joined(moment, weighed.samples), draft, details)
        return note

    def _ticket(self, weighed: Weighed, settings: WeighbridgeSettings) -> Ticket:
        try:
            return Ticket(
                id=f"{self._station}_{weighed.bridge}_{weighed.time}",
                terminal_serial=self._terminal_serial,
                terminal_restart=self._restart,
                timestamp=weighed.time,
                scale_serial=settings.scale_serial,
                status=weighed.status,
                gross=weighed.gross,
                tare=weighed.tare,
                net=weighed.net,
                vehicle=weighed.vehicle,
                cells=tuple(CellWeight(serial=s, weight=grams) for s, grams in weighed.cells),
            )
        except ValidationError as error:
            # The scale's limits are narrower than a ticket's: this is a fault of ours, and a
            # station that goes on without the ticket would hide it.
            raise StorageUnavailable(f"the ticket cannot be built: {error.error_count()}") from None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._status.raise_alarm("storage", "the storage failed; the SmartBox must restart")
            self._on_failure(error)

    def bridge(self, name: str) -> Bridge:
        """A weighbridge by its name. Raises NoSuchWeighbridge."""
        bridge = self._bridges.get(name)
        if bridge is None:
            known = ", ".join(self._bridges) or "none"
            raise NoSuchWeighbridge(f"the weighbridges that weigh by a cycle are: {known}")
        return bridge

    def age(self, name: str) -> int | None:
        """How old what a bridge shows is, in milliseconds; None before anything was shown.

        Raises NoSuchWeighbridge.
        """
        seen = self.bridge(name).indication
        return None if seen is None else max(0, self._clock() - seen.time)

    def old_weight(self, name: str) -> Reason | None:
        """Why nothing may rest on what a bridge shows: it is too old. Raises NoSuchWeighbridge."""
        age, bridge = self.age(name), self.bridge(name)
        if age is None or age <= OLD_MS:
            return None
        if bridge.watch.faulty and bridge.indication and bridge.indication.fault:
            return None  # it shows none, and says which cell is why
        seconds = round(age / 1000)
        return Reason("old-weight", f"no new weight came for {seconds} s", seconds=seconds)

    def set_vehicle(self, name: str, vehicle: str | None) -> None:
        """Say which vehicle stands on a bridge, or comes next.

        Raises NoSuchWeighbridge, ValueError, and CannotWeigh when the load has its ticket: the
        vehicle would be on none.
        """
        bridge = self.bridge(name)
        if bridge.cycle.step in (Step.TICKET, Step.UNLOADING):
            raise CannotWeigh(HAS_TICKET)
        bridge.vehicle = check_vehicle(vehicle) if vehicle else None

    def as_json(self) -> dict[str, Any]:
        """What a display shows of each bridge."""
        return {
            name: show(bridge)
            | {"calibration": mark.mark() if (mark := self._calibrations[name]) else None}
            for name, bridge in self._bridges.items()
        }

    async def close(self) -> None:
        """Let what is being written end."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


class Intakes:
    """Gives each sample to the part of the station that its weighbridge belongs to."""

    def __init__(self, station: Station, live: LiveStation) -> None:
        self._station = station
        self._live = live

    def streams(self, cell: str) -> bool:
        """Whether the cell's weighbridge weighs by a cycle."""
        return self._live.streams(cell)

    def take_stream(self, samples: Sequence[Sample]) -> None:
        """See `LiveStation.take_stream`."""
        self._live.take_stream(samples)

    async def take(self, sample: Sample) -> None:
        """See `Station.take`."""
        await self._station.take(sample)

    def warm(self, cell: str, celsius: float) -> None:
        """A temperature; only a cycle has a use for it."""
        self._live.warm(cell, celsius)
