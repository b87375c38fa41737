"""Comparing an alibi memory with the tickets that are registered.

Whoever owns the SmartBox's disk can write the alibi memory and the outbox anew, so that both agree,
but not what is on the ledger: the last word is an export of the tickets API, made by the customer
(`GET /v1/tickets?format=ndjson`).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from steelyard.smartbox.alibi.export import export_station, is_export, read_any
from steelyard.smartbox.alibi.format import Record, TornTail
from steelyard.smartbox.alibi.memory import read_station
from steelyard.smartbox.errors import AlibiDamaged, ExportUnusable
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.ticket import ID_PATTERN, MAX_BLOCK_NUMBER, Ticket

_WAITING = frozenset({"queued", "sending"})


class RegisteredTicket(Ticket):
    """One line of an export: a ticket, the station that emitted it, the block that holds it."""

    station: str
    block_number: int = Field(alias="blockNumber", ge=0, le=MAX_BLOCK_NUMBER)


@dataclass(slots=True)
class Comparison:
    """What was found: a sentence for each ticket that is not the same on both sides.

    `waiting` and `refused` are tickets that by the outbox's word cannot be registered: they have
    sentences, too, but are no disagreement. `damage` is why the alibi memory could not be read to
    its end; what the export has beyond is then not judged.
    """

    station: str
    same: int = 0
    different: int = 0
    unregistered: int = 0
    unknown: int = 0
    waiting: int = 0
    refused: int = 0
    other_stations: int = 0
    damage: str | None = None
    begins_with: int | None = None
    sentences: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing disagrees."""
        return not (self.different or self.unregistered or self.unknown or self.damage)

    @property
    def summary(self) -> str:
        """All counts in one line."""
        text = (
            f"{self.station}: {self.same} tickets are as registered, {self.different} differ, "
            f"{self.unregistered} are not registered, {self.unknown} are not in the alibi memory, "
            f"{self.waiting} still wait, {self.refused} were refused"
        )
        if self.other_stations:
            text += f"; {self.other_stations} of other stations not compared"
        if self.begins_with is not None:
            text += (
                f"; the memory begins with record {self.begins_with}: what else is registered may "
                "be older"
            )
        if self.damage:
            text += f"; compared only up to the damage: {self.damage}"
        return text


def compare_with_export(path: Path, export: Path, outbox_path: Path | None = None) -> Comparison:
    """Compare each record's ticket with the export of all the station's tickets.

    The outbox, where there is one, says which tickets were not registered yet. Raises
    ExportUnusable, StorageUnavailable, and AlibiDamaged for a header that was altered.
    """
    comparison = Comparison(export_station(path) if is_export(path) else read_station(path))
    registered = _read_export(export, comparison)
    outbox = None if outbox_path is None else Outbox.open_for_reading(outbox_path)
    try:
        comparer = _Comparer(registered, outbox, comparison, _corrected(path))
        for found in read_any(path):
            if not isinstance(found, TornTail):
                comparer.take(found)
    except AlibiDamaged as problem:
        comparison.damage = problem.detail
    else:
        comparer.take_rest()
    finally:
        if outbox is not None:
            outbox.close()
    return comparison


class _Comparer:
    """Takes the records one by one. `registered` are the station's exported tickets as texts."""

    def __init__(
        self,
        registered: dict[str, str],
        outbox: Outbox | None,
        comparison: Comparison,
        corrected: dict[str, int],
    ) -> None:
        self._registered = registered
        self._outbox = outbox
        self._comparison = comparison
        self._corrected = corrected
        self._seen: set[str] = set()
        self._first: int | None = None

    def take(self, record: Record) -> None:
        """Compare a record's ticket. Raises AlibiDamaged when it holds none.

        A ticket whose time was corrected goes to the ledger as its correction has it.
        """
        ticket = _ticket_of(record)
        ticket_id: str = ticket["ticketID"]
        self._first = record.sequence if self._first is None else self._first
        if self._corrected.get(ticket_id, record.sequence) > record.sequence:
            return
        known = self._registered.get(ticket_id)
        if ticket_id in self._seen:
            self._comparison.different += 1
            said = "stands in the alibi memory more than once"
        elif known is None:
            said = self._unregistered(ticket_id)
        elif known == _text(ticket):
            self._comparison.same += 1
            said = ""
        else:
            self._comparison.different += 1
            said = f"differs from the registered ticket in {_members(ticket, json.loads(known))}"
        self._seen.add(ticket_id)
        if said:
            self._comparison.sentences.append(f"record {record.sequence}: {ticket_id} {said}")

    def take_rest(self) -> None:
        """What is registered and was in no record; where old ones are dropped nothing says so."""
        if self._first is not None and self._first > 1:
            self._comparison.begins_with = self._first
            return
        for ticket_id in self._registered:
            if ticket_id not in self._seen:
                self._comparison.unknown += 1
                self._comparison.sentences.append(
                    f"no record: {ticket_id} is registered, but is not in the alibi memory"
                )

    def _unregistered(self, ticket_id: str) -> str:
        state = None if self._outbox is None else self._outbox.state_of(ticket_id)
        if state in _WAITING:
            self._comparison.waiting += 1
            return "is not registered yet: it waits in the outbox"
        if state == "refused":
            self._comparison.refused += 1
            return "is not registered: the platform refused it"
        self._comparison.unregistered += 1
        if state == "registered":
            return "is not in the export, although the outbox has its receipt"
        return "is not in the export" + ("" if self._outbox is None else ", nor in the outbox")


def _corrected(path: Path) -> dict[str, int]:
    """The number of the last record that corrects each ticket of which one does."""
    found: dict[str, int] = {}
    try:
        for record in read_any(path):
            if isinstance(record, Record) and "correction" in record.body:
                found[_ticket_of(record)["ticketID"]] = record.sequence
    except AlibiDamaged:
        pass  # it comes up again where the tickets are compared
    return found


def _ticket_of(record: Record) -> dict[str, Any]:
    """Whoever computes the chain anew may write anything: it must at least name a ticket."""
    ticket = record.body.get("ticket")
    if isinstance(ticket, dict):
        ticket_id = ticket.get("ticketID")
        if isinstance(ticket_id, str) and re.fullmatch(ID_PATTERN, ticket_id):
            return ticket
    raise AlibiDamaged(f"record {record.sequence}: holds no ticket")


def _read_export(path: Path, comparison: Comparison) -> dict[str, str]:
    """The station's tickets by id, each as its JSON text."""
    registered: dict[str, str] = {}
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue  # a shell or an editor leaves an empty line at the end
                found = _read_line(path, number, line)
                if found.station != comparison.station:
                    comparison.other_stations += 1
                    continue
                members = found.as_json()
                del members["station"], members["blockNumber"]
                text = _text(members)
                if registered.setdefault(found.id, text) != text:
                    raise ExportUnusable(f"{path}: line {number}: {found.id} stands there twice")
    except OSError as error:
        raise ExportUnusable(f"{path}: cannot be read: {error.strerror}") from None
    return registered


def _read_line(path: Path, number: int, line: bytes) -> RegisteredTicket:
    try:
        return RegisteredTicket.model_validate_json(line)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the line"
        raise ExportUnusable(
            f"{path}: line {number}: is not a ticket of an export in NDJSON: {place}"
        ) from None


def _text(ticket: dict[str, Any]) -> str:
    return json.dumps(ticket, sort_keys=True)


def _members(recorded: dict[str, Any], registered: dict[str, Any]) -> str:
    """The names of the members that differ."""
    names = [
        name
        for name, value in registered.items()
        if name not in recorded or _text({name: recorded[name]}) != _text({name: value})
    ]
    if recorded.keys() - registered.keys():
        names.append("members that no ticket has")
    return ", ".join(names)
