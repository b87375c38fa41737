"""The alibi memory against what is registered: the comparison that no editor of the disk passes."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from smartbox_kit import expected_ticket, plan

from steelyard.smartbox.alibi.memory import AlibiMemory
from steelyard.smartbox.audit.comparison import compare_with_export
from steelyard.smartbox.audit.verify import verify_alibi
from steelyard.smartbox.errors import AlibiDamaged, ExportUnusable
from steelyard.smartbox.models import Joined, Moment, Sample
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Storage
from steelyard.ticket import Receipt, Ticket
from steelyard.tickets.export import ndjson_line
from steelyard.tickets.models import FoundTicket

TICKETS = [expected_ticket(weighing) for weighing in plan(6)]
IDS = [ticket.id for ticket in TICKETS]
HASH = "0x" + "ab" * 32


def record(directory: Path, tickets: Sequence[Ticket], registered: Sequence[str] = IDS) -> None:
    """Both books of a SmartBox that made these tickets, as the program writes them."""
    storage = Storage.open(directory, "station-1")
    for number, ticket in enumerate(tickets):
        sample = Sample("C", ticket.timestamp, number, Decimal(1))
        storage.record(Joined(Moment("wb-1", ticket.timestamp), (sample,)), ticket)
    receipts = [Receipt(ticket_id=one, transaction_hash=HASH, block_number=7) for one in registered]
    storage.outbox.settle(receipts, [])
    storage.close()


def export(path: Path, tickets: Sequence[Ticket], station: str = "station-1") -> Path:
    """What the tickets API streams."""
    found = [
        FoundTicket(**dict(ticket), station=station, block_number=7)  # type: ignore[arg-type] # its own members
        for ticket in tickets
    ]
    path.write_bytes(b"".join(ndjson_line(one) for one in found))
    return path


def test_both_sides_agree(tmp_path: Path) -> None:
    """Every ticket is as registered, in any order; another station's are left aside."""
    record(tmp_path, TICKETS)
    path = export(tmp_path / "own", list(reversed(TICKETS)))
    foreign = export(tmp_path / "foreign", [TICKETS[0]], "station-2").read_bytes()
    path.write_bytes(path.read_bytes() + foreign + b"\n")  # as `echo` after curl leaves it
    for outbox in (tmp_path / OUTBOX_FILE, None):
        comparison = compare_with_export(tmp_path / ALIBI_FILE, path, outbox)
        assert comparison.holds
        assert comparison.sentences == []
        assert (comparison.same, comparison.other_stations) == (6, 1)
        assert "6 tickets are as registered, 0 differ" in comparison.summary


ALTERED: dict[str, dict[str, Any]] = {
    "terminalSerialNumber": {"terminal_serial": "T2"},
    "terminalRestartValue": {"terminal_restart": 4},
    "timestamp": {"timestamp": TICKETS[2].timestamp + 1},
    "scaleSerialNumber": {"scale_serial": "WB9"},
    "scaleStatus": {"status": "overload"},
    "scaleGross, scaleNet": {"gross": TICKETS[2].gross + 1, "net": TICKETS[2].net + 1},
    "scaleGross, scaleTare": {"gross": TICKETS[2].gross + 1, "tare": TICKETS[2].tare + 1},
    "vehicle": {"vehicle": None},
    "cells": {"cells": tuple(reversed(TICKETS[2].cells))},
}


@pytest.mark.parametrize("members", ALTERED)
def test_both_books_rewritten_are_found(tmp_path: Path, members: str) -> None:
    """Alibi memory and outbox computed anew with another ticket: only the export tells."""
    altered = TICKETS[2].model_copy(update=ALTERED[members])
    record(tmp_path, [*TICKETS[:2], altered, *TICKETS[3:]])
    alibi, outbox = tmp_path / ALIBI_FILE, tmp_path / OUTBOX_FILE
    assert verify_alibi(alibi, outbox).holds, "this alone cannot know"
    comparison = compare_with_export(alibi, export(tmp_path / "x", TICKETS), outbox)
    assert not comparison.holds
    assert (comparison.same, comparison.different) == (5, 1)
    assert comparison.sentences == [
        f"record 3: {IDS[2]} differs from the registered ticket in {members}"
    ]


def test_a_ticket_missing_on_either_side_is_named(tmp_path: Path) -> None:
    """Issued behind the station's back, or in the books and on no ledger."""
    record(tmp_path, TICKETS[:5], IDS[:4])
    path = export(tmp_path / "x", [*TICKETS[:3], TICKETS[5]])
    alibi = tmp_path / ALIBI_FILE
    comparison = compare_with_export(alibi, path, tmp_path / OUTBOX_FILE)
    assert comparison.sentences == [
        f"record 4: {IDS[3]} is not in the export, although the outbox has its receipt",
        f"record 5: {IDS[4]} is not registered yet: it waits in the outbox",
        f"no record: {IDS[5]} is registered, but is not in the alibi memory",
    ]
    assert (comparison.unregistered, comparison.waiting, comparison.unknown) == (1, 1, 1)
    alone = compare_with_export(alibi, path)
    assert alone.unregistered == 2, "without an outbox nothing says that it waits"
    assert not comparison.holds
    assert not alone.holds


@pytest.mark.parametrize("state", ["queued", "sending", "refused"])
def test_what_cannot_be_registered_yet_is_no_disagreement(tmp_path: Path, state: str) -> None:
    """It is named all the same."""
    record(tmp_path, TICKETS, IDS[:5])
    storage = Storage.open(tmp_path, "station-1")
    if state == "sending":
        storage.outbox.mark_sending([IDS[5]])
    elif state == "refused":
        storage.outbox.settle([], [(IDS[5], {"status": 422})])
    storage.close()
    path = export(tmp_path / "x", TICKETS[:5])
    comparison = compare_with_export(tmp_path / ALIBI_FILE, path, tmp_path / OUTBOX_FILE)
    assert comparison.holds
    assert comparison.same == 5
    assert [one.split(" is ")[0] for one in comparison.sentences] == [f"record 6: {IDS[5]}"]
    assert comparison.waiting + comparison.refused == 1


def test_a_ticket_that_stands_twice_is_named(tmp_path: Path) -> None:
    """The program never writes it; who computes the chain anew may."""
    alibi, _ = AlibiMemory.open(tmp_path / "a", "station-1")
    for ticket in (*TICKETS, TICKETS[1]):
        alibi.append({"ticket": ticket.as_json()})
    alibi.close()
    comparison = compare_with_export(tmp_path / "a", export(tmp_path / "x", TICKETS))
    assert comparison.sentences == [f"record 7: {IDS[1]} stands in the alibi memory more than once"]
    assert not comparison.holds


def test_damage_ends_the_comparison_and_nothing_is_called_missing(tmp_path: Path) -> None:
    """Up to it the records are compared; what is behind it is not judged."""
    record(tmp_path, TICKETS)
    alibi = tmp_path / ALIBI_FILE
    data = alibi.read_bytes()
    place = data.index(IDS[3].encode())
    alibi.write_bytes(data[:place] + b"X" + data[place + 1 :])
    comparison = compare_with_export(alibi, export(tmp_path / "x", TICKETS))
    assert (comparison.same, comparison.unknown) == (3, 0)
    assert not comparison.holds
    assert "record 4: was altered" in comparison.summary


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ticket": 5},
        {"ticket": {"ticketID": 5}},
        {"ticket": {"ticketID": "a\nrecord 1: all is well"}},
        {"ticket": json.loads("[" * 200 + "]" * 200)},
        [],
    ],
)
def test_a_record_without_a_ticket_is_damage(tmp_path: Path, body: Any) -> None:
    """Whatever a correct hash stands over."""
    alibi, _ = AlibiMemory.open(tmp_path / "a", "station-1")
    alibi.append({"ticket": TICKETS[0].as_json()})
    alibi.append(body)
    alibi.close()
    comparison = compare_with_export(tmp_path / "a", export(tmp_path / "x", TICKETS[:1]))
    assert comparison.damage is not None
    assert comparison.damage.startswith("record 2: ")
    assert comparison.same == 1


Break = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-20], "line 6: is not a ticket of an export in NDJSON"),
        (lambda data: b"{}\n" + data, "line 1: is not a ticket"),
        (lambda data: data + b"\n0", "line 8: is not a ticket"),
        (lambda data: b"\xff\n" + data, "line 1: is not a ticket"),
        (lambda data: b"[" * 100_000 + data, "line 1: is not a ticket"),
        (lambda data: data.replace(b'"blockNumber":7', b'"blockNumber":-7'), "blockNumber"),
        (lambda data: data + data.replace(b'"T1"', b'"T2"'), "line 7: .* stands there twice"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, change: Break, said: str) -> None:
    """With its line; nothing is concluded from half of it."""
    record(tmp_path, TICKETS)
    path = export(tmp_path / "x", TICKETS)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ExportUnusable, match=said):
        compare_with_export(tmp_path / ALIBI_FILE, path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    """Either of them."""
    path = export(tmp_path / "x", TICKETS)
    with pytest.raises(AlibiDamaged, match="none: cannot be read"):
        compare_with_export(tmp_path / "none", path)
    record(tmp_path, TICKETS)
    with pytest.raises(ExportUnusable, match="none: cannot be read: No such file"):
        compare_with_export(tmp_path / ALIBI_FILE, tmp_path / "none")


def command(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from steelyard.cli import main; main()", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command(tmp_path: Path) -> None:
    """Exit status 0 when both sides agree, else 1 and the ticket's name; a bad file is one line."""
    record(tmp_path, TICKETS)
    good = export(tmp_path / "good", TICKETS)
    done = command("alibi", "verify", tmp_path, "--tickets", good)
    assert done.returncode == 0, done.stderr
    assert "station-1: 6 tickets are as registered" in done.stdout
    done = command("alibi", "verify", tmp_path, "--tickets", export(tmp_path / "x", TICKETS[1:]))
    assert done.returncode == 1
    assert "6 records, all as they were written; and the outbox agrees" in done.stdout
    assert f"record 1: {IDS[0]} is not in the export" in done.stdout
    good.write_text("no json\n")
    done = command("alibi", "verify", tmp_path, "--tickets", good)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "line 1: is not a ticket of an export in NDJSON" in done.stderr
