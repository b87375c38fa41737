"""Where a search over several stations goes on.

All of a customer's tickets have one order: time, then station, then order of registration. A
cursor is the place of the last ticket looked at, so it stays small however many stations there are,
and every station's own cursor (see contracts/) follows from it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self

from steelyard.web.errors import BadCursor

_LAST_INDEX = 2**64 - 1
_FORM = re.compile(r"([<>])(\d{1,15})\.(\d{1,20})\.([A-Za-z0-9-]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A ticket's place in the order of all tickets of a customer."""

    timestamp: int
    station_id: str
    index: int

    @classmethod
    def from_key(cls, key: int, station_id: str) -> Self:
        """The place that a contract's cursor (timestamp << 64 | index) means."""
        return cls(timestamp=key >> 64, station_id=station_id, index=key & _LAST_INDEX)

    def contract_cursor(self, station_id: str, *, newest_first: bool) -> int | None:
        """The contract's cursor with which this station goes on after this place.

        None means that the station has nothing left (only newest first, at time zero).
        """
        if station_id == self.station_id:
            return (self.timestamp << 64) | self.index
        # At the same time, a lesser station comes before this place and a greater one after it.
        at_the_end = station_id < self.station_id
        cursor = (self.timestamp << 64) | (_LAST_INDEX if at_the_end else 0)
        # The contract reads 0 as "from the start", which forwards is what is meant here.
        return None if cursor == 0 and newest_first else cursor

    def encode(self, *, newest_first: bool) -> str:
        """An opaque text for a URL; it holds nothing that the page did not."""
        text = f"{'<' if newest_first else '>'}{self.timestamp}.{self.index}.{self.station_id}"
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, *, newest_first: bool) -> Self:
        """The place that `encode` wrote; raises BadCursor for anything else."""
        try:
            padded = text + "=" * (-len(text) % 4)
            plain = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            raise BadCursor from None
        match = _FORM.fullmatch(plain)
        if not match:
            raise BadCursor
        direction, timestamp, index, station_id = match.groups()
        if (direction == "<") is not newest_first:
            raise BadCursor("the cursor belongs to a search in the other order")
        place = cls(timestamp=int(timestamp), station_id=station_id, index=int(index))
        if place.timestamp >= 2**48 or not 1 <= place.index <= _LAST_INDEX:
            raise BadCursor
        return place
