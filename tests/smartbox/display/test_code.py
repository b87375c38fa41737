"""The code on a ticket holds what `steelyard verify` takes; a camera's library reads it."""

import json
from pathlib import Path

import pytest
from entry_kit import make_entry, read_code

from steelyard.ledger.cli import read_claim
from steelyard.smartbox.display.book import Entry
from steelyard.smartbox.display.code import make_code
from steelyard.smartbox.display.errors import NoCode


@pytest.mark.parametrize("vehicle", ["AA-00-BB", "Ж-777 \u4e2d\U0001f69a"])
def test_what_is_read_in_the_code_is_what_verify_takes(tmp_path: Path, vehicle: str) -> None:
    """The receipt and the ticket, exactly, whatever letters the vehicle has."""
    entry = make_entry(vehicle=vehicle)
    path = tmp_path / "scanned.json"
    path.write_text(read_code(make_code(entry)))
    claim = read_claim(path)
    assert (claim.receipt, claim.ticket) == (entry.receipt, entry.ticket)


def test_a_ticket_of_very_many_cells_leaves_its_receipt(tmp_path: Path) -> None:
    """The code would be too fine to print; it says that the ticket is not in it."""
    entry = make_entry(cells=32, serial="A-SERIAL-THAT-IS-LONG-")
    code = make_code(entry)
    assert not code.has_ticket
    path = tmp_path / "scanned.json"
    path.write_text(read_code(code))
    claim = read_claim(path)
    assert (claim.receipt, claim.ticket) == (entry.receipt, None)


def test_eight_cells_fit() -> None:
    """A long bridge has its ticket in the code."""
    code = make_code(make_entry(cells=8, serial="LC-2026-000"))
    assert code.has_ticket
    assert json.loads(code.text)["ticket"]["cells"][7]["cellWeight"] == 7_810_130


def test_without_a_receipt_there_is_no_code() -> None:
    """There is nothing that could be proved."""
    entry = make_entry()
    waiting = Entry(entry.ticket, 12, "queued", None, None)
    with pytest.raises(NoCode, match="is not registered: its state is queued"):
        make_code(waiting)
