"""Enrolling this SmartBox: a key of its own, a certificate, a log-in, a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from steelyard.errors import ConfigurationError
from steelyard.pki.claims import ClaimCode
from steelyard.pki.files import PRIVATE, PUBLIC
from steelyard.pki.fresh import FreshDevice
from steelyard.settings import as_toml
from steelyard.smartbox.enrolment.files import CA_FILE, CONFIG_FILE, SECRET_FILE
from steelyard.smartbox.enrolment.management import Management
from steelyard.smartbox.errors import EnrolmentRefused, PlatformProblem
from steelyard.smartbox.settings import SmartBoxSettings, WeighingSettings
from steelyard.smartbox.uplink.platform import make_session, make_tls_context
from steelyard.smartbox.urls import has_host

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever enrols a SmartBox says."""

    platform: str
    ca_file: Path
    into: Path
    data_directory: Path
    serial: str | None = None
    station: str | None = None
    proxy: str | None = None
    time_zone: str | None = None
    # By weighbridge.
    weighing: Mapping[str, WeighingSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What came of it; `fault` is what the SmartBox would not start with, if there is something."""

    config_file: Path
    station: str
    serial: str
    certificate: x509.Certificate
    fault: str | None


def check_url(url: str) -> str:
    """The platform's URL. Raises ConfigurationError."""
    parts = urlsplit(url) if has_host(url) and url.isprintable() else None
    if parts is None or parts.scheme != "https" or "@" in parts.netloc:
        raise ConfigurationError("--platform must be an https:// URL, as https://platform.example")
    return url.rstrip("/")


async def enrol(wanted: Wanted, code: ClaimCode) -> Enrolled:
    """Enrol. Nothing is in `into` before everything is.

    Raises EnrolmentRefused, PlatformProblem, FileExists, KeyUnusable, RequestRefused,
    ConfigurationError. After any of them the same call may be made again.
    """
    device = FreshDevice(wanted.into.absolute(), code)
    tls = make_tls_context(wanted.ca_file)
    request = device.request(wanted.serial)
    pem = request.public_bytes(Encoding.PEM).decode()
    async with make_session(tls, TIMEOUT_SECONDS, wanted.proxy) as session:
        management = Management(session, wanted.platform)
        certified = await management.enrol(code.locator, pem, device.proof(request))
    if certified.kind != "smartbox" or certified.configuration is None:
        raise EnrolmentRefused(
            f"the code is for the {certified.kind} {certified.serial}, and this is a SmartBox"
        )
    station = _text(certified.configuration, "station")
    if wanted.station not in {None, station}:
        raise EnrolmentRefused(f"the code is for the station {station}, not {wanted.station}")
    certificate = device.check(certified.papers)
    values = _settings(wanted, device, certified.serial, certified.configuration)
    values["weighbridges"] = _with_cycles(values, wanted.weighing)
    secret = _text(certified.configuration, "client_secret")
    more = {
        CONFIG_FILE: (as_toml("smartbox", values).encode(), PUBLIC),
        SECRET_FILE: (f"{secret}\n".encode(), PRIVATE),
        CA_FILE: (wanted.ca_file.read_bytes(), PUBLIC),
    }
    device.settle(certified.papers, more)
    config_file = device.into / CONFIG_FILE
    return Enrolled(config_file, station, certified.serial, certificate, _fault(values))


def _settings(
    wanted: Wanted, device: FreshDevice, serial: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The section `smartbox`. Raises PlatformProblem for a configuration that is none."""
    holding, into = device.holding, device.into
    try:
        bridges = [
            {
                "name": _text(bridge, "name"),
                "scale_serial": _text(bridge, "scale_serial"),
                "scale_interval_grams": int(bridge["scale_interval_grams"]),
                "max_capacity_grams": int(bridge["max_capacity_grams"]),
                "cells": [{"serial": str(cell)} for cell in bridge["cells"]],
            }
            for bridge in given["weighbridges"]
        ]
    except (KeyError, TypeError, ValueError):
        raise PlatformProblem("the management API's configuration is not valid") from None
    return {
        "station": _text(given, "station"),
        "terminal_serial": serial,
        "data_directory": str(wanted.data_directory.absolute()),
        "enrolled": True,
        "device_station": _text(given, "station_id"),
        "certificate_file": str(holding.certificate),
        "key_file": str(holding.private_key),
        "device_ca_file": str(holding.authority),
        "device_crl_file": str(holding.revocations),
        "management_url": wanted.platform,
        "tickets_url": _text(given, "tickets_url"),
        "ca_file": str(into / CA_FILE),
        "client_id": _text(given, "client_id"),
        "client_secret_file": str(into / SECRET_FILE),
        **({"proxy_url": wanted.proxy} if wanted.proxy is not None else {}),
        **({"display_time_zone": wanted.time_zone} if wanted.time_zone is not None else {}),
        "weighbridges": bridges,
    }


def _with_cycles(
    values: dict[str, Any], cycles: Mapping[str, WeighingSettings]
) -> list[dict[str, Any]]:
    """The weighbridges, with their cycles. Raises ConfigurationError for one that cannot be."""
    bridges: list[dict[str, Any]] = values["weighbridges"]
    names = [bridge["name"] for bridge in bridges]
    if strangers := sorted(set(cycles) - set(names)):
        raise ConfigurationError(
            f"weighing.{strangers[0]}: the station has no such weighbridge; it has "
            f"{', '.join(names)}"
        )
    found = []
    for bridge in bridges:
        if (cycle := cycles.get(bridge["name"])) is None:
            found.append(bridge)
            continue
        told = cycle.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        found.append(bridge | {"weighing": told})
        fault = _fault(values | {"weighbridges": found[-1:]})
        # What is wrong without the cycle is not the card's fault, and is told once it is enrolled.
        if fault is not None and _fault(values | {"weighbridges": [bridge]}) is None:
            raise ConfigurationError(f"weighing.{bridge['name']}: {fault}")
    return found


def _fault(values: dict[str, Any]) -> str | None:
    """What is wrong with the settings; the identity is kept all the same, and can be corrected."""
    try:
        SmartBoxSettings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"smartbox.{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None


def _text(values: Mapping[str, Any], name: str) -> str:
    found = values.get(name)
    if not isinstance(found, str) or not found or not found.isprintable():
        raise PlatformProblem(f"the management API's configuration has no {name}")
    return found
