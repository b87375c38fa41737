"""The part of each boot that is root's: before the network, and with no need of one."""

from dataclasses import dataclass, field

from steelyard.station.boot_partition import BootPartition
from steelyard.station.card import Card
from steelyard.station.device_code import read_device_code
from steelyard.station.errors import CardUnusable, MachineRefuses
from steelyard.station.keeping import Kept
from steelyard.station.machine import Machine
from steelyard.station.places import Places
from steelyard.station.told import Told


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of it: what the first boot is told, and what went wrong, a sentence each."""

    told: Told
    faults: list[str] = field(default_factory=list)


def prepare(places: Places, machine: Machine) -> Prepared:
    """Take what the card says, become it, and tell the first boot.

    A card that is wrong changes nothing: what is kept of an earlier one holds. Nothing is raised,
    so that a station weighs on whatever its card has become.
    """
    boot, kept, faults = BootPartition(places.card), Kept(places.kept), list[str]()
    card, authority, fault = _take(boot, kept, faults)
    if card is not None:
        faults += machine.become(card)
    faults += machine.make_host_key()
    _wipe(places, faults)
    told = Told(
        device_code=read_device_code(),
        card=card.without_wifi() if card is not None else None,
        # What stands around the certificates may be in any encoding.
        authority=authority.decode("utf-8", "replace") if authority is not None else None,
        fault=fault,
    )
    try:
        told.write(places.settings.told_file)
    except OSError as error:
        faults.append(f"{places.settings.told_file}: {error.strerror}")
    return Prepared(told, faults)


def finish(places: Places) -> None:
    """What is left once the SmartBox is enrolled: its secrets go from the card.

    Raises MachineRefuses, CardUnusable.
    """
    if not places.is_enrolled():
        raise MachineRefuses("the SmartBox is not enrolled: its claim code stays on the card")
    boot = BootPartition(places.card)
    boot.finish_wiping()
    if (card := boot.read()) is not None:
        if not _is_kept(Kept(places.kept), card):
            raise MachineRefuses("the card is not kept on the data partition: it is not wiped")
        boot.wipe()
    places.settings.told_file.unlink(missing_ok=True)


def _is_kept(kept: Kept, card: Card) -> bool:
    known = kept.read()
    return known is not None and known[0] == card.without_claim()


def _take(
    boot: BootPartition, kept: Kept, faults: list[str]
) -> tuple[Card | None, bytes | None, str | None]:
    fault = None
    try:
        if (card := boot.read()) is not None:
            authority = boot.authority()
            try:
                kept.keep(card, authority)
            except MachineRefuses as problem:
                faults.append(problem.detail)
            return card, authority, None
    except CardUnusable as problem:
        fault = problem.detail
        faults.append(fault)
    try:
        known = kept.read()
    except MachineRefuses as problem:
        faults.append(problem.detail)
        known = None
    return (*known, fault) if known is not None else (None, None, fault)


def _wipe(places: Places, faults: list[str]) -> None:
    """Go on with what was interrupted; a new card for an enrolled station is wiped once kept."""
    try:
        if places.is_enrolled():
            finish(places)
        else:
            BootPartition(places.card).finish_wiping()
    except MachineRefuses as problem:
        faults.append(problem.detail)
    except OSError as error:
        faults.append(f"{error.filename}: {error.strerror}")
    except CardUnusable:
        # Told already. It stays as it is, for whoever corrects it.
        return
