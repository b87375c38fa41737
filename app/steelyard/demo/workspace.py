"""The demo's directory: authorities, keys and one configuration file a process."""

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from steelyard.demo.plan import MAX_CAPACITY_GRAMS, Plan, StationPlan
from steelyard.pki.authority import Authority

LOOPBACK = "127.0.0.1"
# All processes share this machine's cores while they start: a cell may come late.
JOIN_SECONDS = 60.0
ADMINISTRATOR = "administrator@platform.example"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that are free now; fixed before the start, so that a capture knows them."""

    management: int
    tickets: int
    coap: Mapping[str, int]
    status: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StationLogIn:
    """What registering a station gave: it goes into the SmartBox's configuration."""

    client_id: str
    client_secret: str


class Workspace:
    """Paths, certificates and configuration files of one demo."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.root = root
        self.plan = plan
        self.logs = self._made("logs")
        self.platform = self._made("platform")
        self.servers = Authority.create(self._made("authorities/servers"), "Demo HTTPS authority")
        self.devices = Authority.create(self._made("authorities/devices"), "Demo device authority")
        self.ports = _free_ports([station.name for station in plan.stations])

    @property
    def network_file(self) -> Path:
        """Where the engine writes which nodes there are."""
        return self.root / "network.json"

    @property
    def engines(self) -> Path:
        """The directory of the real engines, when the demo runs its own."""
        return self.root / "network"

    @property
    def database(self) -> Path:
        """The entity database."""
        return self.platform / "steelyard.db"

    @property
    def platform_config(self) -> Path:
        """The configuration file of both APIs and of the platform's commands."""
        return self.platform / "steelyard.toml"

    @property
    def token_keys(self) -> Path:
        """The directory of the keys that sign access tokens."""
        return self._made("platform/token-keys")

    @property
    def password_file(self) -> Path:
        """The first administrator's password."""
        return self.platform / "administrator-password"

    def station(self, name: str) -> Path:
        """A station's directory."""
        return self._made(f"stations/{name}")

    def smartbox_config(self, name: str) -> Path:
        """The configuration file of a station's SmartBox."""
        return self.station(name) / "smartbox.toml"

    def log(self, process: str) -> Path:
        """The log of a process."""
        return self.logs / f"{process}.log"

    def write_sandbox(self, block_period: int) -> Path:
        """Configure the embedded consortium."""
        return self._write(
            self.root / "sandbox.toml",
            {
                "sandbox": {
                    "nodes": self.plan.nodes,
                    "network_file": str(self.network_file),
                    "block_period": block_period,
                }
            },
        )

    def write_platform(self) -> Path:
        """Configure both APIs; make the administrator's password."""
        issued = self.servers.issue_server("platform", [LOOPBACK, "localhost"], self.platform)
        self._secret(self.password_file, secrets.token_urlsafe(18))
        keys = self.token_keys
        server = {
            "host": LOOPBACK,
            "certificate": str(issued.certificate_path),
            "private_key": str(issued.key_path),
            # Every station and user of the demo has the one address of this machine.
            "rate_per_second": 10_000.0,
            "rate_burst": 10_000,
        }
        return self._write(
            self.platform_config,
            {
                "management": {**server, "port": self.ports.management},
                "tickets": {**server, "port": self.ports.tickets},
                "store": {"url": f"sqlite:///{self.database}"},
                "vault": {"key_ring_file": str(self.platform / "vault.json")},
                "identity": {
                    "issuer": self.management_url,
                    "signing_key_file": str(keys / "signing-key.pem"),
                    "jwks_file": str(keys / "jwks.json"),
                },
                "ledger": {"poll_seconds": 0.02},
            },
        )

    @property
    def management_url(self) -> str:
        """The management API's base URL."""
        return f"https://{LOOPBACK}:{self.ports.management}"

    @property
    def tickets_url(self) -> str:
        """The tickets API's base URL."""
        return f"https://{LOOPBACK}:{self.ports.tickets}"

    def write_smartbox(self, station: StationPlan, log_in: StationLogIn) -> Path:
        """Configure a station's SmartBox, with a certificate for its cells to know it by."""
        directory = self.station(station.name)
        secret = directory / "client-secret"
        self._secret(secret, log_in.client_secret)
        serial = f"SB-{station.part.terminal_serial}"
        issued = self.devices.issue_smartbox(serial, [LOOPBACK], directory, station=station.name)
        return self._write(
            self.smartbox_config(station.name),
            {
                "smartbox": {
                    "station": station.name,
                    "terminal_serial": station.part.terminal_serial,
                    "data_directory": str(self._made(f"stations/{station.name}/data")),
                    "coap_host": LOOPBACK,
                    "coap_port": self.ports.coap[station.name],
                    "status_port": self.ports.status[station.name],
                    "certificate_file": str(issued.certificate_path),
                    "key_file": str(issued.key_path),
                    "device_ca_file": str(self.devices.certificate_path),
                    "device_crl_file": str(self.devices.crl_path),
                    "management_url": self.management_url,
                    "tickets_url": self.tickets_url,
                    "ca_file": str(self.servers.certificate_path),
                    "client_id": log_in.client_id,
                    "client_secret_file": str(secret),
                    "join_deadline_seconds": JOIN_SECONDS,
                    "weighbridges": [
                        {
                            "name": bridge.name,
                            "scale_serial": bridge.scale_serial,
                            "scale_interval_grams": bridge.scale_interval_grams,
                            "max_capacity_grams": max(MAX_CAPACITY_GRAMS, bridge.greatest_gross),
                            "cells": [{"serial": serial} for serial in bridge.cells],
                        }
                        for bridge in station.weighbridges
                    ],
                }
            },
        )

    def write_cell(self, station: StationPlan, serial: str, number: int) -> Path:
        """Configure a load cell, with a certificate that says which cell it is."""
        directory = self._made(f"stations/{station.name}/cell-{number}-files")
        issued = self.devices.issue_loadcell(serial, directory, station=station.name)
        return self._write(
            directory / "loadcell.toml",
            {
                "loadcell": {
                    "serial": serial,
                    "server_host": LOOPBACK,
                    "server_port": self.ports.coap[station.name],
                    "certificate_file": str(issued.certificate_path),
                    "key_file": str(issued.key_path),
                    "ca_file": str(self.devices.certificate_path),
                    "crl_file": str(self.devices.crl_path),
                    "position_file": str(directory / "position"),
                    "replay_file": str(station.cells[serial]),
                    "interval_seconds": 0.0,
                    # Longer than the SmartBox waits for the other cells of a weighing.
                    "answer_seconds": JOIN_SECONDS + 10.0,
                    "once": True,
                }
            },
        )

    def _made(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @staticmethod
    def _write(path: Path, document: Mapping[str, Any]) -> Path:
        path.write_text(tomli_w.dumps(document), "utf-8")
        return path

    @staticmethod
    def _secret(path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text + "\n", "ascii")


def _free_ports(stations: list[str]) -> Ports:
    """Ports that nobody uses, held all at once so that no two are the same."""
    tcp = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(2 + len(stations))]
    udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in stations]
    try:
        for one in (*tcp, *udp):
            one.bind((LOOPBACK, 0))
        numbers = [one.getsockname()[1] for one in tcp]
        return Ports(
            management=numbers[0],
            tickets=numbers[1],
            coap=dict(zip(stations, (one.getsockname()[1] for one in udp), strict=True)),
            status=dict(zip(stations, numbers[2:], strict=True)),
        )
    finally:
        for one in (*tcp, *udp):
            one.close()
