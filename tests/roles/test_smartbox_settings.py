"""What role smartbox writes is what the SmartBox reads."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from steelyard.smartbox.settings import SmartBoxSettings

ROLE = Path(__file__).resolve().parents[2] / "roles" / "smartbox"
TEMPLATES = ROLE / "templates"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())


def section(bridge: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What the role writes for a station with this weighbridge."""
    environment = Environment(  # noqa: S701 - TOML, not HTML
        loader=FileSystemLoader(TEMPLATES), trim_blocks=True, undefined=StrictUndefined
    )
    environment.filters["to_json"] = json.dumps
    names = ("ca_file", "certificate_file", "private_key_file", "device_ca_file", "device_crl_file")
    text = environment.get_template("smartbox.toml.j2").render(
        DEFAULTS
        | {
            "ansible_managed": "ours",
            "smartbox_station": "north",
            "smartbox_terminal_serial": "T1",
            "smartbox_management_url": "https://platform:8443",
            "smartbox_tickets_url": "https://platform:8444",
            "smartbox_told": "client",
            "smartbox_secret_file": "/run/secret",
            "smartbox_weighbridges": [bridge],
        }
        | {f"smartbox_{name}": f"/etc/{name}" for name in names}
        | changes
    )
    told: dict[str, Any] = tomllib.loads(text)["smartbox"]
    return told


def written(bridge: dict[str, Any], **changes: Any) -> SmartBoxSettings:
    """The same as the SmartBox reads it."""
    return SmartBoxSettings(**section(bridge, **changes))


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


def test_the_roles_defaults_are_the_applications() -> None:
    """A station of the playbooks keeps weighings as long as any other."""
    told = written(BRIDGE)
    for name in ("alibi_years", "reserve_bytes", "coap_host", "coap_port"):
        assert getattr(told, name) == SmartBoxSettings.model_fields[name].default, name


def test_how_long_weighings_are_kept_is_the_inventorys() -> None:
    """And how much of the disk is not for them."""
    told = written(BRIDGE, smartbox_alibi_years=12, smartbox_reserve_bytes=1 << 30)
    assert (told.alibi_years, told.reserve_bytes) == (12, 1 << 30)


def test_no_setting_can_be_given_twice() -> None:
    """`smartbox_settings` may not have what the role writes by itself: TOML takes no second."""
    own = yaml.safe_load((ROLE / "vars/main.yml").read_text())["smartbox_own_settings"]
    assert set(own) == set(section(BRIDGE))
    more = section(BRIDGE, smartbox_settings={"batch_size": 50})
    assert set(more) - set(own) == {"batch_size"}
