"""`pulumi up` ends with a platform that answers: the playbooks, real engines, a ticket."""

import json
import os
import re
import ssl
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from cli import ROOT, PulumiStack, why_not
from stacks import stack

from infra.machines.state import read_group
from steelyard.network import processes
from steelyard.smartbox.split import split_weighings

ENGINES = ("STEELYARD_GETH", "STEELYARD_TESSERA")
MISSING = [name for name in ENGINES if not os.environ.get(name)]
USER = "user@acme.example"
SECRETS = "/etc/steelyard/platform/secrets"
# The roles fetch them anyway: with them on the disks from the start two minutes are saved.
PACKAGES = [
    *("chrony", "curl", "nftables", "openjdk-17-jre-headless", "openssl", "postgresql"),
    *("python3-venv", "unattended-upgrades"),
]

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(why_not() is not None, reason=f"no stack: {why_not()}"),
    pytest.mark.skipif(bool(MISSING), reason=f"no engines: {' and '.join(MISSING)} not set"),
]


def station(name: str, slot: int) -> dict:
    """A station that has no device yet."""
    return {
        "name": name,
        "node": {"slot": slot},
        "weighbridges": [
            {
                "name": "WB-1",
                "scale_serial": f"S-{name}",
                "scale_interval_grams": 20_000,
                "max_capacity_grams": 60_000_000,
                "cells": [{"serial": f"LC-{name}-{cell}"} for cell in range(2)],
            }
        ],
    }


def weighing_station(directory: Path) -> tuple[dict, Path]:
    """A station that replays its part of the paper's weighings on a machine called box."""
    name, part = next(iter(split_weighings(ROOT / "data/weighings-600.csv", directory).items()))
    described = station(name, 1) | {
        "smartbox": {
            "host": "box",
            "serial": f"SB-{part.terminal_serial}",
            "terminal_serial": part.terminal_serial,
        },
        "weighbridges": [
            {
                "name": bridge.name,
                "scale_serial": bridge.scale_serial,
                "scale_interval_grams": bridge.scale_interval_grams,
                "max_capacity_grams": 100_000_000,
                "cells": [
                    {"serial": serial, "host": "box", "replay": str(path)}
                    for serial, path in bridge.cells.items()
                ],
            }
            for bridge in part.weighbridges.values()
        ],
    }
    return described, part.rows_file


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """The application, packed from this checkout as an operator would."""
    place = tmp_path_factory.mktemp("dist")
    made = {}
    for name in ("server", "station"):
        command = [ROOT / ".venv/bin/python", ROOT / "scripts/bundle.py", name, "-o", place]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        made[f"{name}_bundle"] = str(next(place.glob(f"*-{name}-*.tar")))
    return made


@pytest.fixture
def made(tmp_path, bundles):
    """One node of the network, one customer, the platform, and a machine for its station."""
    described, rows = weighing_station(tmp_path)
    document = stack(0) | {"configure": True, "application": bundles}
    document["consortium"] |= {
        "fault_tolerance": 0,
        "network": [{"name": "network-1"}],
        "customers": [{"name": "acme", "users": [{"login": USER}], "stations": [described]}],
        "platform": {},
    }
    document["local"] = {"packages": PACKAGES}
    document["variables"] = {
        "quorum_path": os.environ["STEELYARD_GETH"],
        "tessera_path": os.environ["STEELYARD_TESSERA"],
        "tessera_version": os.environ.get("STEELYARD_TESSERA_VERSION", "20.10.1"),
        "tessera_heap_megabytes": 192,
        "quorum_cache_megabytes": 128,
        "smartbox_replay": str(rows),
    }
    found = PulumiStack(tmp_path, document)
    try:
        yield found
    finally:
        found.end()


class Apis:
    """Both APIs, as the customer's user who was made by the playbooks."""

    def __init__(self, made: PulumiStack, directory: Path) -> None:
        self._made = made
        self._urls = {kind: made.output(f"{kind}_api_url") for kind in ("management", "tickets")}
        authority = directory / "ca.pem"
        authority.write_text(self._read("/etc/steelyard/pki/ca.pem"))
        self._context = ssl.create_default_context(cafile=str(authority))
        password = self._read(f"{SECRETS}/user-{USER}.password").strip()
        form = {"grant_type": "password", "username": USER, "password": password}
        body = urllib.parse.urlencode(form).encode()
        self._token = self._open("management", "/oauth2/token", body)["access_token"]

    def _read(self, path: str) -> str:
        said = self._made.ansible("platform", "-b", "-a", f"cat {path}")
        return said.split(">>\n", 1)[1]

    def get(self, kind: str, path: str):
        """What an API answers."""
        return self._open(kind, path)

    def _open(self, kind: str, path: str, body: bytes | None = None):
        request = urllib.request.Request(self._urls[kind] + path, body)  # noqa: S310 - https
        if body is None:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(  # noqa: S310 - https
            request, context=self._context, timeout=60
        ) as answer:
            return json.load(answer)


def test_a_platform_answers_and_tickets_are_registered(made, tmp_path):
    """Up, a ticket registered and read, a second up, a station that is added, the end."""
    said = made.up(seconds=3600)
    took = re.search(r"playbooks/site\.yml took \d+ s", said)
    assert took
    _tell("up", said)
    print(took[0])
    apis = Apis(made, tmp_path)
    ticket = _first_ticket(apis)
    assert apis.get("tickets", f"/v1/tickets/{urllib.parse.quote(ticket['ticketID'], safe='')}")
    _tell("up again", made.up("--expect-no-changes"))

    customer = made.document["consortium"]["customers"][0]
    customer["stations"].append(station("added", 2))
    made.configure()
    before = made.output("inventory")["hosts"]
    _tell("up with one more station", made.up(seconds=3600))
    assert made.output("inventory")["hosts"] == before
    apis = Apis(made, tmp_path)
    names = {one["name"] for one in apis.get("management", "/v1/stations")["items"]}
    assert "added" in names

    _nothing_secret_is_told(made, said)
    group = read_group(made.directory)
    made.configure(protect=False)
    made.up(seconds=3600)
    _tell("destroy", made.destroy(seconds=1200))
    assert not made.directory.exists()
    assert not any(processes.alive(one.nspawn) for one in group.machines)


def _tell(what: str, said: str) -> None:
    """Pulumi's own count of resources and time, for whoever looks (pytest -s)."""
    print(f"{what}: {' '.join(said[said.rindex('Resources:') :].split())}")


def _first_ticket(apis: Apis) -> dict:
    until = time.monotonic() + 600
    while True:
        page = apis.get("tickets", "/v1/tickets?limit=1")
        if page["tickets"]:
            return page["tickets"][0]
        assert time.monotonic() < until, "no ticket was there in ten minutes"
        time.sleep(2)


def _nothing_secret_is_told(made: PulumiStack, said: str) -> None:
    """Neither the update's output, nor the state, nor the log has what was made on the hosts."""
    listed = made.ansible(
        "platform", "-b", "-m", "shell", "-a", f"cat {SECRETS}/* /etc/steelyard/platform/*.password"
    )
    secrets = [one.strip() for one in listed.splitlines()[1:] if len(one.strip()) >= 12]
    assert secrets
    state = "".join(
        one.read_text("utf-8", "replace")
        for one in (made.directory.parent / "state").rglob("*")
        if one.is_file()
    )
    log = (ROOT / f".cache/stacks/{made.name}-site.log").read_text()
    for secret in secrets:
        assert secret not in said
        assert secret not in state
        assert secret not in log
