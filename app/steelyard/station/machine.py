"""What root does, so that the machine becomes what its card says. Everything may be repeated."""

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steelyard.pki.files import PRIVATE, PUBLIC, replace, sync_directory, update
from steelyard.station.card import Card
from steelyard.station.errors import MachineRefuses
from steelyard.station.following import Following
from steelyard.station.network_files import WIFI_FILE, WIRED_FILE, network_files, wpa_supplicant
from steelyard.station.places import Places

HOST_KEY = "ssh_host_ed25519_key"
AUTHORIZED = "authorized_keys"


def set_kernel_host_name(name: str) -> None:
    """Name the machine until it is switched off."""
    socket.sethostname(name)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine. `name_host` gives the running kernel its name."""

    places: Places
    name_host: Callable[[str], None] = set_kernel_host_name

    def become(self, card: Card) -> list[str]:
        """Do everything; what failed is told, and keeps nothing else from being done."""
        steps: list[Callable[[], None]] = [
            lambda: self._write_network(card),
            lambda: self._write_wifi(card),
            lambda: self._name(card.host_name),
            lambda: self._authorize(card),
            lambda: self._tell_smartbox(card),
        ]
        return [told for step in steps if (told := _attempt(step)) is not None]

    def make_host_key(self) -> list[str]:
        """The ssh key of the machine, made once, and there whole or not at all."""
        told = _attempt(self._make_host_key)
        return [told] if told is not None else []

    def _write_network(self, card: Card) -> None:
        directory = self.places.settings.network_directory
        directory.mkdir(parents=True, exist_ok=True)
        files = network_files(card)
        for name in (WIRED_FILE, WIFI_FILE):
            if name in files:
                replace(directory / name, files[name].encode(), PUBLIC)
            else:
                (directory / name).unlink(missing_ok=True)

    def _write_wifi(self, card: Card) -> None:
        path = self.places.wifi
        if card.network.wifi is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, wpa_supplicant(card.network.wifi).encode(), PRIVATE)

    def _name(self, name: str) -> None:
        if socket.gethostname() != name:
            self.name_host(name)

    def _authorize(self, card: Card) -> None:
        self.places.ssh.mkdir(parents=True, exist_ok=True)
        content = "".join(f"{key}\n" for key in card.ssh_keys).encode()
        update(self.places.ssh / AUTHORIZED, content, PUBLIC)

    def _tell_smartbox(self, card: Card) -> None:
        """Leave word where an enrolled SmartBox's configuration says something else."""
        told = Following.of(card)
        self.places.following.unlink(missing_ok=True)
        if self.places.is_enrolled() and not told.is_followed(self.places.smartbox_config):
            told.write(self.places.following)

    def _make_host_key(self) -> None:
        key = self.places.ssh / HOST_KEY
        if key.exists():
            return
        self.places.ssh.mkdir(parents=True, exist_ok=True)
        draft = key.with_name(f"{HOST_KEY}.new")
        for path in (draft, draft.with_name(f"{draft.name}.pub")):
            path.unlink(missing_ok=True)
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(draft)]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - its own words only
        _sync(draft)
        draft.with_name(f"{draft.name}.pub").replace(key.with_name(f"{HOST_KEY}.pub"))
        draft.replace(key)
        sync_directory(key.parent)


def _attempt(step: Callable[[], None]) -> str | None:
    try:
        step()
    except OSError as error:
        return f"{error.filename or 'the machine'}: {error.strerror or error}"
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]} failed with exit status {error.returncode}"
    except MachineRefuses as problem:
        return problem.detail
    return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)
