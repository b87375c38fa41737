"""What a display shows of a bridge."""

from typing import Any

from steelyard.smartbox.weighing.bridge import Bridge
from steelyard.smartbox.weighing.cycle import Indication
from steelyard.smartbox.weighing.reason import NO_CELL


def show(bridge: Bridge) -> dict[str, Any]:
    """The bridge now, as JSON: weights in grams, times in milliseconds.

    `gross`, `net` and `cells` are there only while there is an indication (R 76-1, 4.2.3). `load`
    counts the loads that have left: a tare and a vehicle belong to one.
    """
    seen = bridge.indication
    common: dict[str, Any] = {
        "step": bridge.cycle.step,
        "load": bridge.load,
        "vehicle": bridge.vehicle,
        "tare": bridge.tare.grams,
        "tare_kind": bridge.tare.kind,
        "faults": dict(bridge.watch.faults()),
    }
    if seen is None:
        return {"state": "fault", "reason": NO_CELL, **common}
    scale, serials = bridge.plan.scale, bridge.plan.serials
    return {
        "state": seen.state,
        "reason": bridge.cycle.refusal(seen),
        **common,
        "time": seen.time,
        "stable": seen.stable,
        "zero": seen.zero,
        "degraded": seen.degraded,
        "raw": dict(zip(serials, bridge.frame.values, strict=True)) if bridge.frame else {},
        "celsius": bridge.celsius(),
        **_weights(bridge, seen),
        "interval": scale.interval_at(seen.gross),
    }


def _weights(bridge: Bridge, seen: Indication) -> dict[str, Any]:
    if seen.fault or seen.overload or seen.underload:
        return {"gross": None, "net": None, "cells": {}}
    scale = bridge.plan.scale
    return {
        "gross": scale.rounded(seen.gross),
        "net": scale.rounded(seen.gross - bridge.tare.exact),
        "cells": {
            serial: round(grams)
            for serial, grams in zip(bridge.plan.serials, seen.cells, strict=True)
        },
    }
