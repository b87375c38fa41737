"""A card in an emulated board: what stands in for the Raspberry Pi's firmware, and QEMU.

The firmware is imitated as far as it matters for slots: it reads slot.txt on the first partition
and starts the kernel, the initramfs and the command line of the directory that is named there.
"""

import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from infra.images.card import ALIGNMENT
from infra.images.errors import ImageProblem
from infra.images.programs import run
from infra.images.station.slot_file import SlotFile, parse

PROGRAMS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "mcopy": "mtools",
    "ssh": "openssh-client",
    "xz": "xz-utils",
}
_BOOT = f"@@{ALIGNMENT}M"
Listener = tuple[str, int]
SSH: Listener = ("tcp", 22)
PAGE: Listener = ("tcp", 8190)
SAMPLES: Listener = ("udp", 5684)
ENROLMENT: Listener = ("udp", 5683)
FORWARDED = (SSH, PAGE, SAMPLES, ENROLMENT)


def why_not_here() -> str | None:
    """Why this computer cannot emulate a board, or None where it can."""
    missing = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    return f"the emulator needs the Debian packages {', '.join(missing)}" if missing else None


@dataclass
class Emulator:
    """One card and its board. `directory` gets logs and boot files.

    What the station listens on is at `host_port` of this computer, on loopback alone.
    """

    card: Path
    directory: Path
    # MiB: what the smallest board, a Zero 2 W, has.
    memory: int = 512
    processors: int = 2
    starts: int = 0
    # Of other stations, as in readers that somebody plugged in.
    other_cards: list[Path] = field(default_factory=list)
    _ports: dict[Listener, int] = field(default_factory=dict, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def next_slot(self) -> SlotFile:
        """What slot.txt says."""
        path = self.directory / "slot.txt"
        run(["mcopy", "-n", "-o", "-i", f"{self.card}{_BOOT}", "::slot.txt", path])
        return parse(path.read_bytes())

    def on_boot(self) -> list[str]:
        """The files of the boot partition's directory `steelyard`. The board has no power."""
        said = run(["mdir", "-b", "-i", f"{self.card}{_BOOT}", "::steelyard"])
        return sorted(line.rpartition("/")[2] for line in said.split())

    def host_port(self, listener: Listener) -> int:
        """Where one of `FORWARDED` is found. It stays the same from start to start."""
        if listener not in self._ports:
            kind = socket.SOCK_STREAM if listener[0] == "tcp" else socket.SOCK_DGRAM
            self._ports[listener] = _free_port(kind)
        return self._ports[listener]

    @property
    def ssh_port(self) -> int:
        """On loopback."""
        return self.host_port(SSH)

    @property
    def console(self) -> Path:
        """What the board says, of the current start."""
        return self.directory / f"console-{self.starts}.log"

    def start(self) -> None:
        """Power on. Raises ImageProblem when the card has nothing to start."""
        if self.running:
            raise ImageProblem("the board runs already")
        self.starts += 1
        slot = self.next_slot().next
        for name in ("vmlinuz", "initrd", "cmdline.txt"):
            source = f"::{slot}/{name}"
            run(["mcopy", "-n", "-o", "-i", f"{self.card}{_BOOT}", source, self.directory / name])
        words = (self.directory / "cmdline.txt").read_text("ascii").strip()
        # As the firmware puts the board's own serial port in the place of serial0.
        words = re.sub(r"console=tty1 ", "", words).replace("serial0", "ttyAMA0")
        self.console.write_bytes(b"")
        command = ["nice", "-n", "19", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72"]
        command += ["-accel", "tcg,thread=multi", "-smp", str(self.processors)]
        command += ["-m", str(self.memory), "-display", "none", "-monitor", "none", "-no-reboot"]
        command += ["-serial", f"file:{self.console}", "-append", words]
        command += ["-kernel", str(self.directory / "vmlinuz")]
        command += ["-initrd", str(self.directory / "initrd")]
        # Unsafe if this computer lost its power: what the board wrote outlasts its process
        # either way, and nothing waits for the disk of this computer.
        command += ["-drive", f"if=none,id=card,format=raw,cache=unsafe,file={self.card}"]
        command += ["-device", "virtio-blk-pci,drive=card", "-device", "virtio-rng-pci"]
        forwarded = "".join(
            f",hostfwd={kind}:127.0.0.1:{self.host_port((kind, port))}-:{port}"
            for kind, port in FORWARDED
        )
        command += ["-netdev", f"user,id=net{forwarded}"]
        command += ["-device", "virtio-net-pci,netdev=net,romfile="]
        for number, other in enumerate(self.other_cards):
            drive = f"if=none,id=other{number},format=raw,cache=unsafe,file={other}"
            command += ["-drive", drive, "-device", f"virtio-blk-pci,drive=other{number}"]
        command += ["-device", "i6300esb", "-action", "watchdog=reset"]
        with (self.directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own arguments

    def cut(self) -> None:
        """Power off, at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @property
    def running(self) -> bool:
        """Whether the board has power, and has not reset itself."""
        return self._process is not None and self._process.poll() is None

    def wait_for(self, text: str, seconds: float) -> float:
        """Seconds until the console says this. Raises ImageProblem if it does not."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if text in self.said():
                return time.monotonic() - began
            if not self.running:
                break
            time.sleep(0.5)
        last = " | ".join(self.said().splitlines()[-3:])
        gone = "" if self.running else " before it reset itself"
        raise ImageProblem(f"the board did not say {text!r} within {seconds:g} s{gone}: {last}")

    def wait_for_reset(self, seconds: float) -> None:
        """Wait until the board resets or powers itself off. Raises ImageProblem."""
        if self._process is None:
            raise ImageProblem("the board was not started")
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ImageProblem(f"the board did not reset within {seconds:g} s") from None

    def said(self) -> str:
        """The console's text of this start."""
        return self.console.read_text("utf-8", "replace") if self.console.exists() else ""

    def ssh_options(self, key: Path) -> list[str]:
        """For ssh and scp. The host key is the station's own, made at its first boot."""
        return [
            *("-i", str(key), "-o", "StrictHostKeyChecking=accept-new"),
            *("-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}"),
            *("-o", "ConnectTimeout=60", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
        ]

    def ssh(self, key: Path, command: str, *, seconds: float = 300) -> str:
        """The output of a command on the station. Raises ImageProblem."""
        words = ["ssh", *self.ssh_options(key), "-p", str(self.ssh_port), "root@127.0.0.1", command]
        return run(words, seconds=seconds)

    def send(self, key: Path, file: Path, place: str, *, seconds: float = 900) -> None:
        """Copy a file onto the station."""
        words = ["scp", "-q", *self.ssh_options(key), "-P", str(self.ssh_port), str(file)]
        run([*words, f"root@127.0.0.1:{place}"], seconds=seconds)


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(type=kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
