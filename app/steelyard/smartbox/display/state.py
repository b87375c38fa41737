"""What a display is told: of the station once, of its scales and alarms with each change."""

from typing import Any

from steelyard.smartbox.intake.live import LiveStation
from steelyard.smartbox.settings import SmartBoxSettings, WeighbridgeSettings
from steelyard.smartbox.status import Status
from steelyard.smartbox.weighing.bridge import Bridge
from steelyard.smartbox.weighing.cycle import HAS_TICKET, Step
from steelyard.smartbox.weighing.degraded import grid
from steelyard.smartbox.weighing.reason import NO_CELL, Reason

AUTOMATIC = Reason("automatic", "this weighbridge gives its tickets by itself")
NO_TARE = Reason("no-tare", "there is no tare")


def describe_station(settings: SmartBoxSettings) -> dict[str, Any]:
    """What does not change while the SmartBox runs."""
    return {
        "station": settings.station,
        "language": settings.display_language,
        "time_zone": settings.display_time_zone,
        "weighbridges": [_describe(bridge) for bridge in settings.weighbridges],
    }


def _describe(bridge: WeighbridgeSettings) -> dict[str, Any]:
    scale, weighing = bridge.scale(), bridge.weighing
    places = (weighing.places if weighing else ()) or grid(len(bridge.cells))
    return {
        "name": bridge.name,
        "scale": bridge.scale_serial,
        "class": scale.accuracy_class,
        "minimum": scale.minimum,
        "ranges": [[one.maximum, one.interval] for one in scale.ranges],
        "cells": [
            {"serial": cell.serial, "place": list(place)}
            for cell, place in zip(bridge.cells, places, strict=True)
        ],
        "passes": weighing.passes if weighing else 1,
        "mode": weighing.mode if weighing else None,
    }


def describe_scales(live: LiveStation, status: Status, now: int) -> dict[str, Any]:
    """The scales that weigh by a cycle, and the alarms; `now` in milliseconds."""
    shown = live.as_json()
    for name, scale in shown.items():
        bridge, age = live.bridge(name), live.age(name)
        scale["reason"] = as_reason(scale["reason"])
        scale["age"] = age
        scale["old"] = live.old_weight(name) is not None
        scale["refusals"] = {
            action: as_reason(why) for action, why in _refusals(bridge, live, name).items()
        }
    alarms = status.as_json()["alarms"]
    return {"now": now, "scales": shown, "alarms": alarms}


def _refusals(bridge: Bridge, live: LiveStation, name: str) -> dict[str, str | None]:
    """Why each of the operator's actions cannot be done now; None for one that can."""
    old = live.old_weight(name)
    has_ticket = bridge.cycle.step in (Step.TICKET, Step.UNLOADING)
    seen = bridge.indication
    ticket = NO_CELL if seen is None else bridge.cycle.refusal(seen)
    return {
        "zero": old or bridge.zero_refusal(),
        "tare": old or bridge.tare_refusal(),
        "clear-tare": None if bridge.tare.kind else NO_TARE,
        "vehicle": HAS_TICKET if has_ticket else None,
        "ticket": AUTOMATIC if bridge.plan.cycle.automatic else old or ticket,
    }


def as_reason(why: str | None) -> dict[str, Any] | None:
    """A reason as JSON; a plain sentence becomes one without a code."""
    if why is None:
        return None
    return (why if isinstance(why, Reason) else Reason("", why)).as_json()
