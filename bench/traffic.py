"""Weighings as a busy station of two weighbridges makes them: the same row in every run."""

import random

from steelyard.ticket import CellWeight, Ticket

START = 1_604_188_800_000  # 2020-11-01T00:00:00Z, in milliseconds
DAY = 86_400_000  # milliseconds
MONTH = 30 * DAY
WEIGHBRIDGES = 2
WEIGHINGS_A_DAY = 300  # of one weighbridge
VEHICLES = 400


class Traffic:
    """An endless row of weighings in the order of time: ids equally long, 4 cells each.

    No two have the same time; ids are those of the time and the weighbridge.
    """

    def __init__(self, seed: int = 1) -> None:
        self.source = random.Random(seed)  # noqa: S311 - made-up data, the same in every run
        self.timestamp = START
        self.last = self._ticket()

    def _ticket(self) -> Ticket:
        pick = self.source.random
        self.timestamp += 1 + int(pick() * 2 * DAY / (WEIGHBRIDGES * WEIGHINGS_A_DAY))
        bridge = 1 + int(pick() * WEIGHBRIDGES)
        gross, tare = 20_000 * (400 + int(pick() * 1600)), 20_000 * int(pick() * 400)
        quarter = gross // 4
        cells = tuple(
            CellWeight.model_construct(
                serial=f"LC11201{bridge:02}{i:02}", weight=quarter + i * 20_000
            )
            for i in range(4)
        )
        return Ticket.model_construct(
            id=f"station-1_station-1-wb-{bridge}_{self.timestamp}",
            terminal_serial="T112001",
            terminal_restart=1,
            timestamp=self.timestamp,
            scale_serial=f"WB11201{bridge:02}",
            status="ok",
            gross=gross,
            tare=tare,
            net=gross - tare,
            vehicle=f"AA-{int(pick() * VEHICLES):03}-BB",
            cells=cells,
        )

    def tickets(self, count: int) -> list[Ticket]:
        """The next weighings."""
        made = [self._ticket() for _ in range(count)]
        self.last = made[-1]
        return made
