"""A whole SmartBox as a process on one core, and certificates for as many cells as one wants."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from steelyard.pki.authority import Authority, Issued

STATION = "station-1"
CELLS_A_BRIDGE = 4
_START_SECONDS = 3600  # a machine that is busy with other work


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process so far: seconds of processor time, and for which it waited for a processor that
    others had; of now: bytes of memory (RSS).
    """

    cpu_seconds: float
    waited_seconds: float
    memory_bytes: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """By what the kernel says of its main thread (proc(5), schedstat)."""
        process = psutil.Process(pid)
        times = process.cpu_times()
        waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        return cls(times.user + times.system, waited, process.memory_info().rss)


class Box:
    """`steelyard smartbox run` with weighbridges of four cells that weigh by a cycle.

    Its platform does not answer: what it weighs waits in the outbox, as on a day without a network.
    """

    def __init__(self, directory: Path, cells: int, rate: float) -> None:
        self.directory = directory
        self.serials = [f"LC{number:05d}" for number in range(cells)]
        leaves = directory / "leaves"
        devices = Authority.create(directory / "devices", "Bench devices")
        self.authority = devices.certificate_path
        self.cells: dict[str, Issued] = {
            serial: devices.issue_loadcell(serial, leaves, station=STATION)
            for serial in self.serials
        }
        box = devices.issue_smartbox("SB-1", ["127.0.0.1"], leaves, station=STATION)
        self.smartbox = box
        secret = directory / "secret"
        secret.touch(mode=0o600)
        secret.write_text("a secret of the benchmark's\n")
        self._config = directory / "smartbox.toml"
        self._config.write_text(_toml(directory, devices, box, secret, self.serials, rate))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The UDP port for load cells."""
        port: int = json.loads((self.directory / "data" / "ready.json").read_text())["coap"][1]
        return port

    def start(self, core: int, port: int = 0) -> None:
        """Start it on one core and wait until it listens; with a port, on that one."""
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        ready = data / "ready.json"
        ready.unlink(missing_ok=True)
        environment = os.environ | {"STEELYARD_SMARTBOX_COAP_PORT": str(port)}
        command = [Path(sys.executable).with_name("steelyard"), "smartbox", "run"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["taskset", "-c", str(core), *command, "--config", self._config],
                env=environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.directory / "log").read_text()[-2000:])
            time.sleep(0.05)

    def usage(self) -> Usage:
        """What the process used."""
        if self._process is None:
            raise RuntimeError("it was not started")
        return Usage.of(self._process.pid)

    def kill(self) -> None:
        """SIGKILL: no good-bye is said to the cells."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _toml(
    directory: Path, devices: Authority, box: Issued, secret: Path, serials: list[str], rate: float
) -> str:
    lines = [
        "[smartbox]",
        f'station = "{STATION}"',
        'terminal_serial = "T1"',
        f'data_directory = "{directory / "data"}"',
        'coap_host = "127.0.0.1"',
        f'certificate_file = "{box.certificate_path}"',
        f'key_file = "{box.key_path}"',
        f'device_ca_file = "{devices.certificate_path}"',
        f'device_crl_file = "{devices.crl_path}"',
        'management_url = "https://127.0.0.1:1"',
        'tickets_url = "https://127.0.0.1:1"',
        f'ca_file = "{devices.certificate_path}"',
        'client_id = "bench"',
        f'client_secret_file = "{secret}"',
        "status_port = 0",
    ]
    for number, start in enumerate(range(0, len(serials), CELLS_A_BRIDGE), start=1):
        cells = ", ".join(f'{{ serial = "{one}" }}' for one in serials[start:][:CELLS_A_BRIDGE])
        lines += [
            "[[smartbox.weighbridges]]",
            f'name = "wb-{number}"',
            f'scale_serial = "WB{number}"',
            "scale_interval_grams = 20000",
            "max_capacity_grams = 60000000",
            f"cells = [{cells}]",
            f"weighing = {{ rate_hz = {rate:g}, clock_seconds = 60, silence_seconds = 60 }}",
        ]
    return "\n".join(lines) + "\n"
