"""A station's machine in a directory, and a power that is cut where a test wants it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.station.card import Card, read_card
from steelyard.station.machine import Machine
from steelyard.station.places import Places
from steelyard.station.preparing import Prepared, prepare
from steelyard.station.settings import StationSettings

CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ"
OTHER_CODE = "ZZZZ-4567-89AB-CDEF-GHJK-MNPQ"
WIFI = {"ssid": "Yard", "country": "PT", "passphrase": 'the "yard" phrase'}


class PowerCut(BaseException):
    """Nothing of ours runs after it."""


# What brings something to the disk, or names it there.
_OPERATIONS = ("fsync", "rename", "replace", "unlink", "pwrite", "link")


@contextmanager
def power_cut_at(number: int) -> Iterator[list[str]]:
    """Cut the power at the given durable operation (1 is the first), before it is done.

    Gives the operations that were done.
    """
    real = {name: getattr(os, name) for name in _OPERATIONS}
    done: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        def operation(*words: Any, **options: Any) -> Any:
            if len(done) + 1 >= number:
                raise PowerCut
            done.append(name)
            return real[name](*words, **options)

        return operation

    for name in _OPERATIONS:
        setattr(os, name, watched(name))
    try:
        yield done
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def card_words(**changes: Any) -> dict[str, Any]:
    """A card as somebody writes it."""
    words = {
        "version": 1,
        "station": "north",
        "host_name": "north-box",
        "platform_url": "https://platform.example",
        "claim": CODE,
        "time_zone": "Europe/Lisbon",
        "network": {"wifi": WIFI},
    }
    return words | changes


def make_card(**changes: Any) -> Card:
    return Card.model_validate(card_words(**changes))


@dataclass
class StationMachine:
    """Directories that stand for the partitions and for /run."""

    directory: Path
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = StationSettings(
            boot_directory=self.directory / "boot",
            data_directory=self.directory / "data",
            run_directory=self.directory / "run",
            network_directory=self.directory / "run" / "network",
            told_file=self.directory / "run" / "station" / "told.json",
            page_host="127.0.0.1",
            page_port=0,
            console=self.directory / "tty1",
        )
        self.places = Places(self.settings)
        # What systemd-tmpfiles and the mounts make.
        for path in (self.places.card, self.places.kept, self.places.enrolment.parent):
            path.mkdir(parents=True, exist_ok=True)

    def write_card(self, card: Card, authority: bytes) -> None:
        (self.places.card / "ca.pem").write_bytes(authority)
        (self.places.card / "station.json").write_bytes(card.as_json())

    def prepare(self) -> Prepared:
        return prepare(self.places, Machine(self.places, self.names.append))

    def reboot(self) -> Prepared:
        """What /run held is gone."""
        for path in sorted(self.settings.run_directory.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        return self.prepare()

    def on_boot(self) -> dict[str, bytes]:
        """Every file of the card's directory."""
        return {path.name: path.read_bytes() for path in self.places.card.iterdir()}

    def kept(self) -> Card:
        return read_card((self.places.kept / "station.json").read_bytes())

    def enrol(self) -> None:
        """As the first boot leaves it."""
        self.places.enrolment.mkdir(parents=True, exist_ok=True)
        (self.places.enrolment / "smartbox.toml").write_text("[smartbox]\n")

    def environment(self) -> dict[str, str]:
        """The settings, for a process."""
        return {
            StationSettings.environment_name(name): str(value)
            for name, value in self.settings.model_dump().items()
        }
