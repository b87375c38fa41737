"""Building a ticket from a joined weighing."""

from collections.abc import Mapping

from pydantic import ValidationError

from steelyard.smartbox.errors import OutOfRange
from steelyard.smartbox.intake.compensation import weigh
from steelyard.smartbox.intake.replay import Replay, ReplayRow
from steelyard.smartbox.models import Joined, Moment, Weight
from steelyard.smartbox.settings import WeighbridgeSettings
from steelyard.ticket import CellWeight, Ticket


class TicketBuilder:
    """Makes the tickets of one station.

    In a replay the row gives vehicle, tare, status and terminal; otherwise a weighing has no
    vehicle and no tare, and its status is `ok`, or `overload` above the weighbridge's capacity.
    """

    def __init__(
        self,
        station: str,
        terminal_serial: str,
        terminal_restart: int,
        bridges: Mapping[str, WeighbridgeSettings],
        replay: Replay | None = None,
    ) -> None:
        self._station = station
        self._terminal_serial = terminal_serial
        self._terminal_restart = terminal_restart
        self._bridges = bridges
        self._replay = replay

    def cells_of(self, moment: Moment) -> tuple[str, ...]:
        """The cells that make up a weighing, in the ticket's order."""
        replayed = self._replay.cells_of(moment) if self._replay else None
        return replayed or tuple(cell.serial for cell in self._bridges[moment.weighbridge].cells)

    def build(self, joined: Joined) -> Ticket:
        """The ticket, with the id that its time gives. Raises NotWeighable."""
        bridge = self._bridges[joined.moment.weighbridge]
        weight = weigh(bridge, joined.samples)
        if self._replay is not None:
            row = self._replay.row(joined.moment)
        else:
            row = self._live_row(bridge, weight)
        try:
            return Ticket(
                id=f"{self._station}_{bridge.name}_{joined.moment.time}",
                terminal_serial=row.terminal_serial,
                terminal_restart=row.terminal_restart,
                timestamp=joined.moment.time,
                scale_serial=row.scale_serial,
                status=row.status,
                gross=weight.gross,
                tare=row.tare,
                net=weight.gross - row.tare,
                vehicle=row.vehicle,
                cells=tuple(CellWeight(serial=s, weight=grams) for s, grams in weight.cells),
            )
        except ValidationError as error:
            # The configuration and the row were checked before: only a weight can be wrong here.
            names = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
            raise OutOfRange(f"out of range: {', '.join(names)}") from None

    def _live_row(self, bridge: WeighbridgeSettings, weight: Weight) -> ReplayRow:
        return ReplayRow(
            terminal_serial=self._terminal_serial,
            terminal_restart=self._terminal_restart,
            scale_serial=bridge.scale_serial,
            status="overload" if weight.gross > bridge.max_capacity_grams else "ok",
            vehicle=None,
            tare=0,
            cells=(),
        )
