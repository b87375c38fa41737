"""Two passes are joined by the vehicle, and outlive the SmartBox."""

import sqlite3
from pathlib import Path

import pytest

from steelyard.smartbox.alibi.memory import read_all
from steelyard.smartbox.intake.passes import join_passes
from steelyard.smartbox.models import FirstPass, Joined, Moment
from steelyard.smartbox.outbox.outbox import Outbox
from steelyard.smartbox.outbox.schema import SCHEMA
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE, Storage
from steelyard.smartbox.timing import Stamp
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


def stamp(time: int, *, boot: str = "b", known: bool = True) -> Stamp:
    """Of a boot that began at 0, by whatever clock."""
    return Stamp(boot, time, known)


def record(storage: Storage, one: Weighed, behind: Stamp | None = None) -> Weighed:
    """As the live station does."""
    behind = behind or stamp(one.time)
    joined, note = join_passes(one, behind, storage.outbox, hours=24)
    if not behind.known:
        note["clock"] = behind.mark()
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
    assert again.outbox.first_pass("a1") == FirstPass("s_wb-1_1004", 11_000_000, 1004)
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
    assert again.outbox.first_pass("a") == FirstPass("s_wb-1_1000", 12_000_000, 1000)
    again.close()


def test_a_weighing_without_a_vehicle_stays_as_it_is(tmp_path: Path) -> None:
    """A tare that the operator took holds."""
    outbox = Outbox.open(tmp_path / OUTBOX_FILE)
    one = weighed(1000, 30_000_000, None, tare=10_000_000)
    assert join_passes(one, stamp(1000), outbox, hours=24) == (one, {})
    outbox.close()


@pytest.mark.parametrize(("late", "tare"), [(0, 12_000_000), (1, 0)])
def test_a_first_pass_waits_so_many_hours(tmp_path: Path, late: int, tare: int) -> None:
    """A truck that left another way begins anew at its next visit, and the record says so."""
    storage = Storage.open(tmp_path, "s")
    record(storage, weighed(1000, 12_000_000, "A 1"))
    came = 1000 + 24 * 3_600_000 + late
    one = record(storage, weighed(came, 40_000_000, "A-1"))
    assert (one.tare, one.net) == (tare, 40_000_000 - tare)
    *_, found = read_all(tmp_path / ALIBI_FILE)
    assert found.body["weighing"].get("lapsed_first_ticket") == ("s_wb-1_1000" if late else None)
    assert record(storage, weighed(came + 1, 13_000_000, "A1")).tare == (40_000_000 if late else 0)
    storage.close()


HOURS = 3_600_000


@pytest.mark.parametrize("knows_again", [False, True])
def test_a_first_pass_of_this_boot_is_as_old_as_the_boot_says(
    tmp_path: Path, *, knows_again: bool
) -> None:
    """Whatever the clock showed then, and also where it knows the time by now."""
    for late, tare in ((0, 12_000_000), (1, 0)):
        storage = Storage.open(tmp_path / str(late), "s")
        record(storage, weighed(1000, 12_000_000, "A"), stamp(5000, known=False))
        assert storage.outbox.first_pass("a") == FirstPass(
            "s_wb-1_1000", 12_000_000, 1000, "b", 5000
        )
        came = weighed(10**12 if knows_again else 900, 40_000_000, "A")
        joined = record(storage, came, stamp(5000 + 24 * HOURS + late, known=knows_again))
        assert joined.tare == tare
        storage.close()


@pytest.mark.parametrize("knew", [True, False])
def test_a_tare_of_before_a_power_cut_waits_for_the_time(tmp_path: Path, *, knew: bool) -> None:
    """A month without power is a minute to a clock that does not know the time."""
    storage = Storage.open(tmp_path, "s")
    record(storage, weighed(1000, 12_000_000, "A"), stamp(1000, boot="earlier", known=knew))
    one = weighed(61_000, 40_000_000, "A")
    joined, note = join_passes(one, stamp(60_000, known=False), storage.outbox, hours=24)
    assert (joined.tare, joined.net) == (0, 40_000_000)
    assert note["undated_first_ticket"] == "s_wb-1_1000"
    joined, note = join_passes(one, stamp(60_000), storage.outbox, hours=24)
    assert (joined.tare, note["pass"]) == (12_000_000, "second")
    assert record(storage, one, stamp(60_000, known=False)).tare == 0
    # It was over with that: had it been the second one, the next visit's first would get its gross.
    assert record(storage, weighed(62_000, 13_000_000, "A"), stamp(61_000)).tare == 0
    assert record(storage, weighed(63_000, 41_000_000, "A"), stamp(62_000)).tare == 13_000_000
    storage.close()


def test_a_first_pass_of_the_future_is_no_tare(tmp_path: Path) -> None:
    """Its time is wrong, so its age is nobody's to tell; a Date is good to two seconds."""
    storage = Storage.open(tmp_path, "s")
    record(storage, weighed(10_000, 12_000_000, "A"))
    for time, tare in ((8_000, 12_000_000), (7_999, 0)):
        one = weighed(time, 40_000_000, "A")
        assert join_passes(one, stamp(time), storage.outbox, hours=24)[0].tare == tare
    storage.close()


@pytest.mark.parametrize("same", ["aa00bb", "AA 00.BB", "AA\u201300\u2013BB", "AA\u00b700\u00b7bb"])
def test_vehicles_are_compared_as_the_platform_does(tmp_path: Path, same: str) -> None:
    """Case, blanks, dots and all dashes make no other vehicle."""
    storage = Storage.open(tmp_path, "s")
    record(storage, weighed(1000, 12_000_000, "AA-00-BB"))
    assert record(storage, weighed(2000, 40_000_000, same)).tare == 12_000_000
    storage.close()


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
