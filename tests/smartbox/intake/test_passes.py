"""Two passes are joined by the vehicle, and outlive the SmartBox."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.smartbox.intake.passes import join_passes, vehicle_key
from steelyard.smartbox.models import Joined, Moment
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.outbox.schema import SCHEMA
from steelyard.smartbox.recorder import OUTBOX_FILE, Storage
from steelyard.smartbox.weighing.bridge import Weighed
from steelyard.ticket import CellWeight, Ticket


def weighed(time: int, gross: int, vehicle: str | None, tare: int = 0) -> Weighed:
    return Weighed(
        bridge="wb-1",
        time=time,
        gross=gross,
        tare=tare,
        net=gross - tare,
        tare_kind="weighed" if tare else None,
        exact=float(gross),
        cells=(("C1", gross),),
        samples=(),
        status="ok",
        zero=0.0,
        vehicle=vehicle,
    )


def record(storage: Storage, one: Weighed) -> Weighed:
    """As the live station does."""
    joined, note = join_passes(one, 2, storage.outbox)
    ticket = Ticket(
        id=f"s_wb-1_{one.time}",
        terminal_serial="T1",
        terminal_restart=1,
        timestamp=one.time,
        scale_serial="W1",
        status="ok",
        gross=joined.gross,
        tare=joined.tare,
        net=joined.net,
        vehicle=one.vehicle,
        cells=(CellWeight(serial="C1", weight=one.gross),),
    )
    storage.record(Joined(Moment("wb-1", one.time), ()), ticket, note)
    return joined


def test_passes_are_joined_in_pairs(tmp_path: Path) -> None:
    """Tare, gross, tare, gross; other vehicles between them; a truck that unloads has less."""
    storage = Storage.open(tmp_path, "s")
    plan = [("A 1", 12), ("B 2", 40), ("a-1", 30), ("b2", 15), ("A1", 11)]
    found = [
        record(storage, weighed(1000 + number, gross * 1_000_000, vehicle))
        for number, (vehicle, gross) in enumerate(plan)
    ]
    assert [(one.tare // 1_000_000, one.net // 1_000_000) for one in found] == [
        (0, 12),
        (0, 40),
        (12, 18),
        (40, -25),
        (0, 11),
    ]
    storage.close()
    again = Storage.open(tmp_path, "s")
    assert again.outbox.first_pass("a1") == ("s_wb-1_1004", 11_000_000)
    assert again.outbox.first_pass("b2") is None
    again.close()


def test_a_pass_that_only_the_alibi_memory_has_is_mended(tmp_path: Path) -> None:
    """A crash between the two books: the next start remembers the first pass."""
    storage = Storage.open(tmp_path, "s")
    record(storage, weighed(1000, 12_000_000, "A"))
    storage.close()
    (tmp_path / OUTBOX_FILE).unlink()
    for rest in tmp_path.glob(f"{OUTBOX_FILE}-*"):
        rest.unlink()
    again = Storage.open(tmp_path, "s")
    assert again.outbox.first_pass("a") == ("s_wb-1_1000", 12_000_000)
    again.close()


@pytest.mark.parametrize(("passes", "vehicle"), [(1, "A"), (2, None)])
def test_one_pass_stays_as_it_is(tmp_path: Path, passes: int, vehicle: str | None) -> None:
    """A tare that the operator took holds."""
    outbox = Outbox.open(tmp_path / OUTBOX_FILE)
    one = weighed(1000, 30_000_000, vehicle, tare=10_000_000)
    assert join_passes(one, passes, outbox) == (one, {})
    outbox.close()


def test_an_outbox_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    """A station that is upgraded keeps its tickets."""
    path = tmp_path / OUTBOX_FILE
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.execute("INSERT INTO counters VALUES ('restarts', 41)")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    outbox = Outbox.open(path)
    assert outbox.count_start() == 42
    assert outbox.first_pass("a") is None
    outbox.close()
    Outbox.open(path).close()


@given(st.text(min_size=1, max_size=32))
def test_a_vehicle_s_key_is_its_own(vehicle: str) -> None:
    """Empty for blanks only; case, blanks, dots and dashes make no other vehicle."""
    key = vehicle_key(vehicle)
    assert key or not vehicle.strip()
    assert vehicle_key(f" {key} ") == vehicle_key(key)
    assert vehicle_key("AA-00-bb") == vehicle_key("aa 00.BB") == "aa00bb"
