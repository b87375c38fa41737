"""What a SmartBox says of itself: counters, alarms, when each cell was last heard."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from structlog import get_logger

from steelyard.ticket import format_timestamp

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that wants a person: since when (milliseconds), and what."""

    since: int
    text: str


class Status:
    """Collects what happens. `clock` gives milliseconds since the epoch."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.counters: Counter[str] = Counter()
        self._alarms: dict[str, Alarm] = {}
        self._last_seen: dict[str, int] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Count an event."""
        self.counters[name] += by

    def saw(self, cell: str) -> None:
        """Note that a cell has spoken."""
        self._last_seen[cell] = self._clock()

    def raise_alarm(self, name: str, text: str) -> None:
        """Raise an alarm, or change its text; it keeps the time at which it was first raised."""
        known = self._alarms.get(name)
        if known is None:
            log.warning("alarm", alarm=name, text=text)
        self._alarms[name] = Alarm(known.since if known else self._clock(), text)

    def clear_alarm(self, name: str) -> None:
        """Clear an alarm if it is raised."""
        if self._alarms.pop(name, None) is not None:
            log.info("alarm cleared", alarm=name)

    def alarms(self) -> dict[str, str]:
        """The raised alarms by name, with their texts."""
        return {name: alarm.text for name, alarm in self._alarms.items()}

    def as_json(self) -> dict[str, Any]:
        """The part of the status page that needs no storage."""
        return {
            "counters": dict(sorted(self.counters.items())),
            "alarms": [
                {"name": name, "since": format_timestamp(alarm.since), "text": alarm.text}
                for name, alarm in sorted(self._alarms.items())
            ],
            "cells": {
                cell: {"last_seen": format_timestamp(seen)}
                for cell, seen in sorted(self._last_seen.items())
            },
        }
