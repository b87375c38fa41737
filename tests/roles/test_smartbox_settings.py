"""What role smartbox writes is what the SmartBox reads."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from steelyard.smartbox.settings import SmartBoxSettings

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "smartbox" / "templates"


def written(bridge: dict[str, Any]) -> SmartBoxSettings:
    """The settings of a station with this weighbridge."""
    environment = Environment(  # noqa: S701 - TOML, not HTML
        loader=FileSystemLoader(TEMPLATES), trim_blocks=True, undefined=StrictUndefined
    )
    environment.filters["to_json"] = json.dumps
    names = ("ca_file", "certificate_file", "private_key_file", "device_ca_file", "device_crl_file")
    text = environment.get_template("smartbox.toml.j2").render(
        ansible_managed="ours",
        smartbox_station="north",
        smartbox_terminal_serial="T1",
        smartbox_data_directory="/var/lib/steelyard/smartbox",
        smartbox_coap_host="0.0.0.0",  # noqa: S104 - nothing listens
        smartbox_coap_port=5684,
        smartbox_management_url="https://platform:8443",
        smartbox_tickets_url="https://platform:8444",
        smartbox_told="client",
        smartbox_secret_file="/run/secret",
        smartbox_settings={},
        smartbox_weighbridges=[bridge],
        **{f"smartbox_{name}": f"/etc/{name}" for name in names},
    )
    return SmartBoxSettings(**tomllib.loads(text)["smartbox"])


BRIDGE: dict[str, Any] = {
    "name": "wb-1",
    "scale_serial": "W1",
    "scale_interval_grams": 20_000,
    "max_capacity_grams": 60_000_000,
    "cells": [{"serial": f"C{number}", "zero": "1.5"} for number in range(4)],
}


@pytest.mark.parametrize("nothing", [{}, {"weighing": {}}])
def test_a_weighbridge_without_a_cycle(nothing: dict[str, Any]) -> None:
    """Every common time of its cells is a weighing."""
    (bridge,) = written(BRIDGE | nothing).weighbridges
    assert bridge.weighing is None
    assert [str(cell.zero) for cell in bridge.cells] == ["1.5"] * 4


def test_a_weighbridge_with_a_cycle() -> None:
    """Words, numbers, truths and lists arrive as they were meant."""
    weighing = {
        "mode": "operator",
        "passes": 2,
        "degraded": True,
        "stable_seconds": 1.5,
        "ranges": [[30_000_000, 10_000]],
        "calibration_file": "/etc/steelyard/wb-1.json",
    }
    (bridge,) = written(BRIDGE | {"weighing": weighing}).weighbridges
    assert bridge.weighing is not None
    told = bridge.weighing.model_dump(mode="json", include=set(weighing))
    assert told == weighing
    assert len(bridge.cells) == 4
